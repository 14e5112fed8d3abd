"""Triggers of cross-site scripting: a necessary part of each structure that the judge finds.

Refuses to know what the whole structure is.
"""

from __future__ import annotations

from sallygate.controls.injection.judges.html.page_fragments import TRIGGERS as PIECES

TRIGGERS: tuple[str, ...] = (
    r"<[\x00-\x1f]{0,3}[a-z/!?%]",
    r"\bon[a-z]{3,26}[\x00-\x20/]{0,8}=",
    r"(?:alert|prompt|confirm)[)?]{0,3}[.(`\x00-\x20/,\])]",
    r"\beval(?:async)?[ ?./]{0,3}[(`.]",
    r"execscript|importscripts|\bimport\s{0,2}[(`]",
    r"set(?:timeout|interval|immediate)\s{0,2}[(`]",
    r"function\s{0,2}(?:\(\s{0,2}['\"`]|`)",
    r"=\s{0,2}(?:alert|prompt|confirm)\s{0,2}\}",
    r"\x1e['\"`]\s{1,4}[a-z]{1,20}\s{0,2}=\s{0,2}['\"`]",
    r"fromc(?:har|ode)",
    r"\b(?:atob|unescape|geturl)\s{0,2}[(`,]",
    r"asfunction:",
    r"window\.open\s{0,2}\(|\.(?:html|append|prepend|after|before)\s{0,2}\(\s{0,2}['\"`]\s{0,2}<",
    r"['\"`](?:alert|prompt|confirm)['\"`]\s{0,2}[\])]",
    r"document[\s)]{0,3}(?:\?\.|\.|\[|/\*)",
    r"\blocation\s{0,2}(?:\.\s{0,2}(?:href|assign|replace|hash)|=\s{0,2}['\"`nawd])",
    r"\b(?:window|self|top|this|parent|frames|globalthis|content|opener)\s{0,2}(?:\?\.)?(?:\[|/\*)",
    r"\b(?:window|self|top|parent|this)\s{0,2}\.\s{0,2}location\s{0,2}=",
    r"(?:\]|reflect)\s{0,2}\.\s{0,2}[a-z]{2,20}(?:\s{0,2}\.\s{0,2}[a-z]{2,20})?\s{0,2}`",
    r"constructor\s{0,2}['\"`]?\s{0,2}[(`\[.\]]",
    r"!\[\]|\+\[\]|\[\]\)|~\[\];|[)!+\[]\[\]",
    "\uff9f\u03c9\uff9f",
    r"throw\s{0,3}(?:onerror|/|['\"`=])",
    r"(?:fetch|getscript|sendbeacon|vibrate)\s{0,2}[(`]",
    r"/\.source|\.source\s{0,2}\+",
    r"tostring\s{0,2}\(\s{0,2}\d\d",
    r"new\s{1,3}image\b",
    r"with\s{0,2}\(\s{0,2}(?:document|window|self|top)",
    r"['\"`]\s{0,3}[)\]}]{0,3}\s{0,3}[-;+*/%^|&,]{1,2}\s{0,3}[a-z_$][\w$.]{0,60}\(",
    r"['\"`]\s{0,3}[)\]}]{0,3};\s{0,3}(?:document|window|self|top|location|jquery|\$|on[a-z]{3,20}\s{0,3}=)",
    r"['\"`]\s{0,3}[-+*/^|&]\s{0,3}[{\[][^'\"`\x1e]{1,60}[}\])]\s{0,3}[-+*/^|&]\s{0,3}['\"`]",
    r"(?:java|vb|live)script\s{0,3}:",
    r"data\s{0,2}:\s{0,2}(?:text/(?:html|xml|xsl|javascript)|application/(?:xhtml|xml|javascript|x-javascript))",
    r":\s{0,4}expression\s{0,3}[(/]",
    r"-moz-binding|behaviou?r\s{0,3}:|url\s{0,2}\(\s{0,2}['\"]?\s{0,2}(?:java|vb)script",
    r"@import\s{0,3}['\"u]",
    r"\+ADw-|\+ADwA",
    "\u00bc/?script",
    r"&\{\s{0,3}(?:[a-z]{3}|\(\))",
    r"\x1e(?:&(?:#x?0{0,6}(?:3c|60)|lt);?|\\(?:x|u00)3c)\x1e",
    r"<(?:\s{0,2}[a-z]:?)?\s?[a-z]\s[a-z]\s[a-z]\s",
    r"(?:window|self|top|parent)\.location",
    r"s\s?c\s?r\s?i\s?p\s?t\s{0,3}:",
    r"\.(?:innerhtml|outerhtml|textcontent)\s{0,2}=|\bbtoa\s{0,2}\(",
    r"\x1e\s{0,4}-->|['\"`]{2,3}\s{0,2}--?>",
    r"\bsrcdoc\s{0,3}=|\bformaction\s{0,3}=|<<?scr",
    *PIECES,
)
