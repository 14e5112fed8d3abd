"""Honest embedded documents, by address: known players and maps, and sprites and PDF files of the page's own host.

The services run no script of third parties. Files uploaded to the own host are the subject of the upload control.

Refuses to know which element holds the address.
"""

from __future__ import annotations

import re

is_player = re.compile(
    r"(?:https?:)?//(?:(?:www\.)?youtube(?:-nocookie)?\.com/embed/|player\.vimeo\.com/video/|www\.google\.com/maps/(?:d/)?embed\?|maps\.google\.com/maps\?|docs\.google\.com/forms/"
    r"|calendar\.google\.com/calendar/embed\?|www\.googletagmanager\.com/ns\.html\?|open\.spotify\.com/embed/|w\.soundcloud\.com/player/\?|www\.facebook\.com/plugins/|www\.loom\.com/embed/"
    r"|www\.openstreetmap\.org/export/embed\.html\?|player\.twitch\.tv/\?|www\.dailymotion\.com/embed/|embed\.music\.apple\.com/)"
    r"[\w./?=&%;:!+,~'@#-]*"
).fullmatch
"""Frames that article bodies honestly hold: foreign documents, whose script does not run in the page."""
is_own_sprite = re.compile(r"(?:/?(?!/)[\w./-]{1,200}\.svg)?#[\w-]{1,80}").fullmatch
is_own_pdf = re.compile(r"/?(?!/)[\w ./%-]{1,200}\.pdf(?:#[\w=&-]{0,80})?").fullmatch
"""Documents of the page's own host that cannot run in it."""
