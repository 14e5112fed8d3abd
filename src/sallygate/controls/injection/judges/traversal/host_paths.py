r"""Judge of values that are nothing but the path of something that only the host itself has a reason to read.

**Threat.** File inclusion and disclosure without a single step up: `/proc/kallsyms`, `~/.git-credentials`, `\\.\C:\x`,
`page.php%00.jpg`, `/run/secrets/db`, `x.aspx::$DATA` (CWE-22, CWE-73, CWE-98, CWE-158; MITRE T1083, T1552.001).

**Evidence.** `injection.traversal` with what the path names.

**How.** Each is one expression (`idiom_judge`). Most of them ask for the path to be the whole value: prose, logs and tickets name such
files honestly, a parameter that holds one of them and nothing else does not.

**Known bypasses.** Relative names without a step (`config.php`), names an application invented.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import Judge

_END = r"(?:[%?#~\x00&][^\x1e]{0,24})?\x1e"
"""What may stand behind a path: an ending that cuts off what the application adds."""
_PATH = r"\x1e(?:[a-z]:)?[^\x1e\s:]{0,160}"
"""A path that begins the value, and no address."""
_ROOT = r"\x1e/{1,3}"
_ENCODED = r"%(?:25)*"
_USUAL = rf"(?:[/\\.]|{_ENCODED}(?:2f|5c))"
"""A dot, and a separator as it is encoded honestly within addresses."""
_ODD = (
    rf"(?:{_ENCODED}(?:2e|u002[ef]|u005c|u221[56]|uff0[ef]|uff3c|uefc8|uf025|c[01]{_ENCODED}(?:[2-9a-f]e|2e|af|2f|5c|9c|1c|9v|qf|8s|pc)|bg%qf|"
    rf"e0{_ENCODED}(?:80|40){_ENCODED}(?:a[ef]|5c)|e0%81%9c|f0{_ENCODED}80{_ENCODED}80{_ENCODED}a[ef]|f8(?:%80){{3}}%a[ef]|fc(?:%80){{4}}%a[ef])|"
    r"%(?:32%65|%32%(?:%36)?%?65|%32e|2%65|%32%66|%35%63|%35c))"
)
"""One in a spelling that honest values have no reason for: nothing has to encode a dot."""
_SHELL_FILE = (
    r"(?:[a-z]{0,12}_?hist(?:ory|file)|(?:bash_|zsh_|k?sh_)?log(?:in|out|ut)|(?:x|ice)authority|forward|passwd|viminfo|lesshst|"
    r"git-credentials|gitconfig|dockercfg|dockerenv|s3cfg|boto|my\.cnf|cvspass|vncpasswd|"
    r"(?:ba|z|c|k|tc|vim|wget|screen|xinit|psql|node_repl_|pip|gem|yarn|mail|ex|nano|input|irb)rc|xsession(?:-errors)?|"
    r"gnupg|azure|subversion|cvs|kube|terraform\.d|config/gcloud|local/share)"
)
_DAEMON = (
    r"(?:pure-?ftpd?|pro-?ftpd?|vsftpd|mysqld?(?:-bin|-slow)?|mariadb|postgres(?:ql)?|httpd|nginx|apache2?|tomcat|catalina|sshd?|sendmail|exim|"
    r"lighttpd|thttpd|squid|xferlog|webmin|security|access|error)"
)

IDIOMS: tuple[Idiom, ...] = (
    # Steps that lead nowhere yet, or in a spelling of their own
    Idiom("traversal", "dots", LIKELY, r"\x1e(?!\.{3}/\x1e)(?=[/\\.]{4,}+\x1e)(?=[^\x1e]*?\.\.)[^\x1e]*?[/\\]",
          trigger=r"\x1e[/\\]{0,2}\.{2,6}[/\\]{0,2}\x1e"),
    Idiom("traversal", "dots", LIKELY, r"\x1e(?=[/\\.]{5,}+\x1e)(?=[^\x1e]*?(?:/\\|\\/))[^\x1e]*?\.",
          trigger=r"\x1e[/\\]?\.[/\\]?(?:/\\|\\/)"),
    Idiom("traversal", "dots", LIKELY, r"\x1e[/\\]?\.(?:/\\/|\\/\\)\.[/\\]"),
    Idiom("traversal", "dots", LIKELY, r"\x1e\\{1,3}\.{3,4}[/\\]|\x1e/{1,3}\.{3,4}(?:\\|//)|\x1e/{1,3}\.{4}/|\x1e\.{3,4}\\|\.\.%{1,2}[/\\]"),
    Idiom("traversal", "dots-disguised", ATTACK, rf"\x1e(?:(?=(?:{_USUAL}|{_ODD}){{2}}){_USUAL}{{0,8}}+{_ODD}|{_ODD}\x1e)", trigger=rf"\x1e{_USUAL}{{0,8}}{_ODD}"),
    Idiom("traversal", "dots-disguised", ATTACK, r"[/\\](?:\x00|%(?:25)?00)[/\\]|\x1e(?:\x00|%(?:25)?00)[/\\.]"),
    # What a filter that takes separators out leaves of a climb, and a list's place for a file's name that nobody filled in
    Idiom("traversal", "dots-squeezed", ATTACK, r"\.{4}(?:etc(?:passwd|shadow|hosts)|boot\.ini|win(?:dows(?:win|system)|nt)|web-inf|meta-inf|proc(?:self|version))"),
    Idiom("traversal", "climb-squeezed", LIKELY, r"/\.\.[a-z][a-z0-9_-]{1,40}/", 400),
    Idiom("traversal", "name-squeezed", ATTACK, r"\x1e(?:[a-z]:)?\.{0,16}(?:etc(?:passwd|shadow|group|hosts)|windowswin\.ini|windowssystem32|winntsystem32|procselfenviron)(?:%00|\x00)?\x1e",
          trigger=r"(?:etc(?:passwd|shadow|group|hosts)|windowswin\.ini|(?:windows|winnt)system32|procselfenviron)(?:%00|\x00)?\x1e"),
    Idiom("traversal", "placeholder", LIKELY, r"\x1e[/\\.](?:[/\\.%]|0?x(?:2e|2f|5c)|%[0-9a-f]{2}|i{1,8}|a{100,400}){1,400}\{file(?:name)?\}\x1e", 500,
          trigger=r"(?:[/\\.%][/\\.]|x(?:2e|2f|5c)|%[0-9a-f]{2}|/i{1,8}|aaaa)\{file(?:name)?\}\x1e"),
    Idiom("traversal", "dot-parameter", LIKELY, r"/\.{1,2};[a-z0-9=_-]{0,24}/"),
    # Endings that cut off what the application adds, or name another stream
    Idiom("traversal", "cut-ending", LIKELY, r"[a-z0-9_-]\.[a-z0-9]{1,5}(?:\x00|%(?:25)?00)(?:[/\\.]?[a-z0-9.]{1,16})?\x1e", 400),
    Idiom("traversal", "cut-ending", LIKELY, r"[/\\](?:\x00|%(?:25)?00)(?:[/\\.]?[a-z0-9.]{1,16})?\x1e", 400),
    Idiom("traversal", "file-stream", ATTACK, r"[a-z0-9_-]\.[a-z0-9]{1,6}::\$(?:data|index_allocation|bitmap)\b|[/\\]::\$(?:data|index_allocation)\b", 1000),
    Idiom("traversal", "device-path", ATTACK, r"\x1e(?:\\\\|//)(?:[?.]|%3f)[/\\]{1,2}(?:[a-z]:|globalroot|pipe[/\\]|unc[/\\]|volume|physicaldrive|device[/\\])"),
    Idiom("traversal", "share", LIKELY, r"\x1e\\\\[a-z0-9.-]{1,100}@(?:ssl|[0-9]{2,5})(?:@[0-9]{2,5})?\\"),
    # What a kernel shows
    Idiom("traversal", "kernel-file", ATTACK, rf"{_ROOT}proc/{{1,3}}(?:[0-9]{{1,7}}|\$\$|self|thread-self|acpi|asound|buddyinfo|bus|cgroups|cmdline|config\.gz|consoles|cpuinfo|crypto|devices|diskstats|dma|driver|"
          rf"execdomains|fb|filesystems|fs|interrupts|iomem|ioports|irq|kallsyms|kcore|keys|key-users|kmsg|kpage[a-z]{{2,8}}|loadavg|locks|mdstat|meminfo|misc|modules|mounts|mtrr|net|pagetypeinfo|partitions|"
          rf"pressure|sched_debug|schedstat|scsi|slabinfo|softirqs|stat|swaps|sys|sysrq-trigger|sysvipc|timer_list|tty|uptime|version|vm[a-z]{{3,10}}|zoneinfo)(?:/[^\x1e\s]{{0,120}})?{_END}"),
    Idiom("traversal", "kernel-file", ATTACK, rf"{_ROOT}sys/(?:class/[a-z]|devices/[a-z]|kernel/[a-z]|firmware/[a-z]|block/[a-z]|bus/(?:pci|usb|cpu)|fs/[a-z])[^\x1e\s]{{0,120}}\x1e"),
    Idiom("traversal", "kernel-file", LIKELY, r"\x1eproc/(?:self|thread-self)/[a-z]"),
    Idiom("traversal", "device-file", ATTACK, rf"{_ROOT}dev/(?:u?random|zero|null|k?mem|std(?:in|out|err)|fd/[0-9]{{1,3}}|(?:[hsv]|xv)d[a-z][0-9]{{0,2}}|nvme[0-9][a-z0-9]{{0,8}}|tty[a-z]?[0-9]{{1,2}}|kmsg|loop[0-9]|"
          rf"(?:shm|disk|mapper|tcp|udp)/[^\x1e\s]{{1,60}}){_END}"),
    Idiom("traversal", "boot-file", ATTACK, rf"{_ROOT}boot/(?:grub2?|vmlinu[xz]|initr[da]|initramfs|efi|loader|system\.map|config-)[^\x1e\s]{{0,80}}\x1e"),
    # What accounts and containers keep
    Idiom("traversal", "account-file", LIKELY, r"\x1e(?:/{1,2}(?:root|home/[a-z0-9._-]{1,32})|~[a-z0-9_-]{0,20})/{1,2}\.(?:[a-vx-z]|w[a-df-z])"),
    Idiom("traversal", "account-file", LIKELY, rf"{_PATH}[/\\]\.{_SHELL_FILE}(?:/[^\x1e\s]{{0,60}})?{_END}",
          trigger=rf"[/\\]\.{_SHELL_FILE}[/%?#~\x00&\x1e]"),
    Idiom("traversal", "account-file", LIKELY, rf"{_ROOT}root/[a-z0-9_.-]{{1,40}}\.(?:cfg|ks|log|sh|conf|key|pem|sql|txt|tar|gz){_END}"),
    Idiom("traversal", "account-file", LIKELY, rf"{_ROOT}(?:private/)?(?:etc/)?(?:master\.|s?pwd\.db|security/passwd)(?:passwd)?{_END}"),
    Idiom("traversal", "account-file", LIKELY, rf"\x1eetc[/\\]{{1,2}}(?:passwd|g?shadow|group|hosts|sudoers|issue|fstab|crontab|motd|resolv\.conf|ssh[/\\][a-z_]{{3,24}}|(?:apache2?|httpd|nginx|php[0-9.]{{0,3}}|mysql)[/\\][a-z0-9_./-]{{3,40}}){_END}"),
    Idiom("traversal", "mounted-secret", ATTACK, rf"{_ROOT}(?:var/)?run/(?:secrets/[a-z]|docker\.sock|containerd/|crio/)[^\x1e\s]{{0,100}}\x1e"),
    Idiom("traversal", "session-file", LIKELY, rf"{_ROOT}(?:private/)?(?:tmp|var/lib|var/tmp)/(?:[a-z0-9_.-]{{1,24}}/){{0,3}}sess_[a-z0-9]{{6,64}}{_END}"),
    Idiom("traversal", "revision-file", LIKELY, rf"[\x1e/\\]cvs[/\\](?:entries|root|repository){_END}"),
    # macOS, Windows
    Idiom("traversal", "system-file", LIKELY, r"\x1e/(?:system/|private/|users/[^/\x1e]{1,32}/)?library/[^\x1e\n]{1,100}\.(?:plist|keychain(?:-db)?|sqlite)\x1e"),
    Idiom("traversal", "system-file", LIKELY, rf"{_ROOT}private/(?:etc|var|tmp)/[a-z][^\x1e\s]{{1,100}}\x1e"),
    Idiom("traversal", "system-file", LIKELY, rf"{_PATH}[/\\](?:hiberfil\.sys|pagefile\.sys|ntldr|ntdetect\.com|sysprep\.(?:xml|inf)|unattend(?:ed)?\.(?:xml|txt)|ntuser\.(?:dat|ini)|applicationhost\.config|metabase\.xml){_END}",
          trigger=r"[/\\](?:hiberfil\.sys|pagefile\.sys|ntldr|ntdetect\.com|sysprep\.|unattend(?:ed)?\.|ntuser\.|applicationhost\.|metabase\.)"),
    Idiom("traversal", "system-file", LIKELY, r"\x1e(?:[a-z]:)?[/\\]{1,2}inetpub[/\\]{1,2}(?:logs|wwwroot|ftproot|temp|adminscripts|mailroot|history)(?:[/\\][^\x1e\s]{0,120})?\x1e"),
    Idiom("traversal", "system-file", LIKELY, r"\x1e%(?:systemdrive|systemroot|windir|programdata|programfiles|allusersprofile|homedrive|public)%[/\\]"),
    Idiom("traversal", "system-file", LIKELY, r"\x1e[a-z]:[/\\]{1,2}\*"),
    Idiom("traversal", "system-file", LIKELY, r"\x1e(?:[/\\]{1,2}winnt|\\{1,2}(?:windows|program files(?: \(x86\))?|documents and settings))[/\\]{0,2}\x1e"),
    Idiom("traversal", "system-file", ATTACK, r"\.(?:exe|com|bat)\?/[ck](?:[+ ]|%20)"),
    # What servers keep
    Idiom("traversal", "server-file", LIKELY, rf"\x1e(?:[a-z]:)?[/\\][^\x1e\s]{{0,160}}[/\\](?:[a-z0-9]{{1,20}}[-_.])?{_DAEMON}(?:[_.-][a-z0-9._-]{{1,24}})?[_.](?:log|err)(?:\.[0-9]|\.gz)?{_END}",
          trigger=rf"[/\\](?:[a-z0-9]{{1,20}}[-_.])?{_DAEMON}[a-z0-9._-]{{0,24}}[_.](?:log|err)[%.?#~\x00&\x1e]"),
    Idiom("traversal", "server-file", LIKELY, rf"{_PATH}[/\\](?:tomcat-users\.xml|pg_(?:hba|ident)\.conf|postgresql\.conf|my\.(?:ini|cnf)|mysql[a-z-]{{0,6}}\.(?:ini|cnf|index)|zabbix_[a-z]{{3,16}}\.conf|filezilla[ _]server\.xml|jboss-users\.properties|"
          rf"vhosts?\.conf|httpd-[a-z]{{3,12}}\.conf|mongod\.conf|redis\.conf|named\.conf|smb\.conf|squid\.conf|haproxy\.cfg|pureftpd\.(?:pdb|passwd)|sshd?_config){_END}",
          trigger=r"[/\\](?:tomcat-users\.xml|pg_(?:hba|ident)\.conf|postgresql\.conf|my\.ini|my\.cnf|mysql[a-z-]{0,6}\.[ci]n|zabbix_[a-z]{3,16}\.conf|filezilla[ _]server\.xml|jboss-users\.properties|"
          r"vhosts?\.conf|httpd-[a-z]{3,12}\.conf|mongod\.conf|redis\.conf|named\.conf|smb\.conf|squid\.conf|haproxy\.cfg|pureftpd\.|sshd?_config)"),
    Idiom("traversal", "server-file", LIKELY, r"\x1e(?:/[a-z0-9_.-]{1,24}){1,4}/conf/server\.xml\x1e"),
    Idiom("traversal", "server-file", LIKELY, r"[\x1e/\\](?:web|meta)-inf\.{1,2}[/\\]"),
    Idiom("traversal", "server-file", LIKELY, r"[\x1e/](?:\.ds_store|\.vscode/(?:sftp|launch|settings)\.json|\.idea/(?:workspace|datasources|webservers)\.xml|php_?info\.php)\x1e"),
    Idiom("traversal", "server-state", LIKELY, r"\x1e/server-(?:status|info)/?\x1e|/actuator(?:;[^/\x1e]{0,40})?/(?:heapdump|threaddump|jolokia|gateway|logfile|env)(?:/[^\x1e]{0,80})?\x1e|/actuator;[^/\x1e]{0,40}/"),
    Idiom("traversal", "shell-file", LIKELY, r"[\x1e/](?:c99|c100|r57|b374k|wso[0-9.]{0,4}|(?:web|cmd|php|jsp|asp)?-?shell[0-9]?)\.(?:php[0-9]?|phtml|jspx?|aspx?)\x1e"),
    Idiom("traversal", "file-stream", LIKELY, r"\x1e[^\x1e\s/\\]{1,80}\.(?:php[0-9]?|phtml|jspx?|aspx?);\.?[a-z0-9]{1,5}\x1e"),
    Idiom("traversal", "secret-file", LIKELY, r"[\x1e/]\.(?:env(?:\.(?:bak|save|old|orig|copy|swp|txt|prod[a-z]{0,6}|dev[a-z]{0,8}|local|staging|test))?[.~]{0,2}|git(?:/(?:packed-refs|refs/[^\x1e]{0,60}|objects/[^\x1e]{0,60}|hooks/[^\x1e]{0,60}|info/[^\x1e]{0,60}|description))?/?)\x1e"),
    Idiom("traversal", "kernel-file", ATTACK, r"\x1e(?:/\.?){1,4}(?:proc(?:/\.){0,2}/(?:self|thread-self|1)(?:/\.){0,2}/[a-z]|etc/\./|\./etc/)"),
    Idiom("traversal", "share", LIKELY, r"\x1e\\\\(?:[a-z0-9-]{1,63}\.){1,6}[a-z0-9-]{1,63}\\[a-z0-9$._-]|\x1e//[a-z0-9.-]{1,80}@ssl[/@]|\x1e\\\?\?\\"),
    Idiom("traversal", "server-file", LIKELY, r"[\x1e/\\](?:web|meta)-inf;[^\x1e]{0,40}/"),
    Idiom("traversal", "system-file", LIKELY, r"\x1e[a-z]:\\[a-z]{1,6}~[0-9]\\"),
    # What reads or runs instead of being found
    Idiom("traversal", "wrapper", ATTACK, r"ssh2\.(?:shell|exec|tunnel|sftp|scp)://|data://(?:text|application|;)|(?:local|internal)_file:/|view-source:file:|\x1e(?:classpath\*?|netdoc|expect):[a-z/]|\x1edata://|\x1ejar:(?:file|https?|ftp):|\x1ezip:[^\s\x1e]{1,200}#"),
    Idiom("traversal", "remote-file", LIKELY, r"\x1e(?:(?:ftps?|https?):)?//[a-z0-9.-]{3,80}(?::[0-9]{2,5})?/[^\s\x1e?]{0,120}\.(?:txt|gif|jpe?g|png|dat|inc|ico|log)\?[?&]?(?:cmd|exec|command|shell|execute)=(?:id|ls|dir|cat|whoami|uname|pwd|ps|ver|net|type|wget|curl|nc|system)\b"),
    Idiom("traversal", "remote-file", LIKELY, r"\x1e//[a-z0-9.-]{3,80}/[^\s\x1e?]{1,120}\.(?:php[0-9]?|txt|jsp|aspx?|pl|py|cgi|dat|inc)\?{1,3}\x1e", trigger=r"\?\x1e"),
)  # fmt: skip

JUDGE: Judge = IdiomJudge("host_paths", IDIOMS, cost=0.2)
