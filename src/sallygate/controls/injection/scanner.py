"""Tools that say what they are: vulnerability scanners by the names they send.

**Threat.** Automated probing (MITRE T1595.002). **Evidence.** `injection.scanner` with `tool`. **Known bypasses.** Any
tool told to call itself otherwise; what it sends is judged all the same. **Cost.** One expression, in headers alone."""

from __future__ import annotations

from sallygate.controls.injection.evidence import ATTACK
from sallygate.controls.injection.idiom import Idiom, compiled

TRIGGERS, judge = compiled((
    Idiom("scanner", "tool", ATTACK, r"(?:sqlmap/|nikto/|nessus|openvas|acunetix|netsparker|w3af|dirbuster|gobuster|feroxbuster|wpscan|masscan/|zgrab/|nuclei - |projectdiscovery|fuzz faster u fool|wfuzz/|"
          r"arachni|skipfish|havij|jaeles|commix/|whatweb/|dirsearch|joomscan|zaproxy|burp ?suite|burpsuite|qualys ?was|appscan|webinspect|xsstrike|dalfox|sqlninja|bsqlbf|"
          r"hydra\)|metasploit|nmap scripting engine|paros/|grendel-scan|vega/|n-stealth|webshag|whatweb|springenwerk|sysscan|morfeus|zmeu|libwww-perl|lwp::simple|winrm client|\.nasl|"
          r"wsfuzzer|dav\.pm/|fimap|mysqloit|cgichk|datacha0s|s\.t\.a\.l\.k\.e\.r|amiga-aweb|core-project/1\.0|domino hunter)", 400),
))  # fmt: skip
