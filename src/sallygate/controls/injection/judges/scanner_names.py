"""Judge of header fields that name a vulnerability scanner.

**Threat.** Automated probing (MITRE T1595.002). **Evidence.** `injection.scanner` with `tool`. **Known bypasses.** Any
tool that is set to another name; its values are judged as any others. **Cost.** One expression, in headers alone."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import Judge
from sallygate.controls.injection.pipeline.values import Kind

IDIOMS: tuple[Idiom, ...] = (
    Idiom("scanner", "tool", ATTACK, r"\b(?:sqlmap/|nikto/|nessus\b|openvas|acunetix|netsparker|w3af\b|dirbuster|gobuster|feroxbuster|wpscan|masscan/|zgrab/|nuclei - |projectdiscovery|fuzz faster u fool|wfuzz/|"
          r"arachni\b|skipfish|havij\b|jaeles\b|commix/|whatweb/|dirsearch|joomscan|zaproxy|burp ?suite\b|qualys ?was\b|appscan\b|webinspect|xsstrike|dalfox\b|sqlninja|bsqlbf\b|"
          r"hydra\)|metasploit|nmap scripting engine|paros/|grendel-scan|vega/|n-stealth|webshag|whatweb\b|springenwerk|sysscan\b|morfeus\b|zmeu\b|libwww-perl|lwp::simple|winrm client|"
          r"wsfuzzer|dav\.pm/|fimap\b|mysqloit|cgichk\b|datacha0s|s\.t\.a\.l\.k\.e\.r|amiga-aweb|core-project/1\.0|domino hunter|tplmap/|jorgee\b|l9explore/|l9tcpid/|leakix|censysinspect|expanse, a palo alto|zerodium|python-requests-sqli|interactsh|crlfuzz|ffuf/|rustbuster|gospider|hakrawler|arjun\b|ghauri\b|\x1ekatana\b|"
          r"hello, ?world\x1e)|\.nasl\b", 400),
)  # fmt: skip

_HEADERS: frozenset[Kind] = frozenset(("header",))
JUDGE: Judge = IdiomJudge("scanner_names", IDIOMS, _HEADERS, cost=0.2)
