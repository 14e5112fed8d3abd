"""Word lists of shells: names of programs, builtins and cmdlets, by how much each name says where a command stands."""

from __future__ import annotations

import re
from collections.abc import Iterable

UNIX = frozenset(
    """
    aa-disable ab acpi alpine ansible ansible-config ansible-console ansible-doc ansible-galaxy ansible-inventory
    ansible-playbook ansible-pull ansible-test ansible-vault apt apt-get aria2c arp as aspell awk base32 base58 base64 basenc bash
    bpftrace bridge bsdtar bsdcat bundler busctl busybox byebug bzcat bzip2 bzless bzmore capsh cat certbot chattr check_by_ssh check_cups
    check_log check_memory check_raid check_ssl_cert check_statusfile chef-client chef-run chef-shell chef-vault chgrp chmod choom chown chpasswd
    chroot chsh clisp cmp cobc column composer cowsay cowthink cpan cpio cpulimit crash crontab csh csplit cscli csvtool ctr cupsfilter
    curl dash ddrescue debugfs df dhclient dialog dig dmesg dmidecode dmsetup dnf doas docker dosbox dpkg du dvips easy_install
    echo ed efax egrep emacs env eqn exiftool expr fdisk fgrep ffmpeg find finger flock fmt fping ftp ftpstats ftpwho gawk gcc gcore
    genie genisoimage getent getfacl ghc ghci gimp ginsh git gnuplot grc grep gtester gunzip gzcat gzexe gzip head hd hexdump
    highlight hostid hostname hping3 htdigest htop htpasswd http https iconv id iftop ifconfig ifdown ifup initctl install ionice
    ip ipconfig iptables ip6tables irb ispell jexec jjs journalctl jq jrunscript jshell kill killall knife ksh ksshell kubectl
    last lastlog lastlogin latex latexmk ldconfig ldd less lesspipe lftp lftpget locate logname logsave look losetup ls lsb_release
    lscpu lshw lsmod lsof lspci lsusb ltrace lua lualatex luatex lwp-download lwp-dump lwp-mirror lwp-request lynx lz4 lz4c lzcat
    lzma lzmore mail mailq mailx make mawk minicom mkdir mkfifo mknod mktemp mlocate mount msfconsole msgattrib msgcat msgconv
    msgfilter msgmerge msguniq mtr multitime mutt mv mysql mysqladmin mysqldump nano nasm nawk nc nc.openbsd nc.traditional ncat
    neofetch netcat netstat networkctl nice nl nmap node nohup npm npx nroff nsenter nslookup nstat octave od openssl openvpn openvt opkg
    passwd paste patch pdflatex pdftex perf perl perl5 pftp pg php php5 php7 php8 php-cgi php-fpm phpize pic pico pidof pidstat
    pigz ping ping6 pip pip3 pkexec pkg pkg_info pkill popd printenv printf procmail proxychains pry ps psed psftp psql pstree
    ptar ptardiff ptargrep ptx pushd puppet pwd pwsh pxz python python2 python3 pypy rake rbash rcp readelf readlink realpath red redcarpet reset
    restic rev rexec rlogin rlwrap rm rmdir rmt rmt-dump rmt-tar rmuser rpm rpmdb rpmquery rpmverify rsh rsync ruby run-mailcap run-parts rvim
    rview sash scanmem scp screen script scrot sed sendmail service setarch setfacl setsid sftp sh shred shuf slsh smbclient smbmap
    snap snice socat soelim socket sqlite3 sqlmap ss ssh ssh-agent ssh-keygen ssh-keyscan sshpass ssh-copy-id start-stop-daemon stat
    stdbuf strace strings stty su sudo sudoedit svn sysctl systemctl systemd-resolve tac tail tar task taskset tasksh tbl tclsh tcpdump
    tcpping tcptraceroute tcsh tee telnet terraform tex tftp tic timedatectl timeout tmate tmux top toilet touch tput tr
    traceroute traceroute6 troff tshark tty twm ufw ul umount uname uncompress unexpand unlink unlzma unlz4 unpigz unrar unset unshare
    unxz unzip unzstd update-alternatives useradd userdel usermod uudecode uuencode valgrind vdir vi view viewres vigr vim vimdiff vipw virsh
    visudo vmstat volatility w wc weka wget whatweb whereis which whiptail who whoami whois wireshark wish wpscan xargs xelatex
    xetex xmodmap xmore xpad xterm xxd xz xzcat xzcmp xzdiff xzegrep xzfgrep xzgrep xzless xzmore yarn yum zathura zcat zcmp
    zdiff zegrep zfgrep zgrep zip zipcloak zipdetails zipinfo zipnote zipsplit zless zmore zrun zsh zsoelim zstd zstdcat zstdgrep
    zstdless zstdmt nodejs ash sha1sum sha256sum sha512sum compgen w3m axel mksh unbuffer setpriv newgrp uci nvram dropbear zypper adduser addgroup groupadd groups history alias eval exec export source set type ulimit umask trap wait
    usleep fetch free jobs java javac exit sysinfo sleep shutdown reboot halt poweroff init uptime users hostnamectl date time cal cd dir cp ln sort uniq cut split
    join test yes more man info route host arping ipcalc nameif nmcli iwconfig printerbug telinit perlbug rundll32
    dd nproc arch aws gcloud az helm loginctl getcap setcap showmount rpcinfo ldapsearch snmpwalk nikto hydra john chsh chfn gdb lsattr pgrep
    pkill renice fuser gpg swapon blkid lsblk findmnt parted fsck ethtool brctl firewall-cmd setenforce getenforce sestatus auditctl podman
    buildah crictl nerdctl kubeadm minikube etcdctl vault consul mongo mongosh mongodump redis-cli pg_dump sqlplus sqlcmd cqlsh hashcat ffuf
    gobuster crackmapexec enum4linux rustc cargo mvn gradle dotnet conda brew flatpak pacman apk chkconfig launchctl osascript dscl sw_vers
    scutil networksetup pbpaste diskutil ioreg
    """.split()
)
"""Of Unix systems and what is installed on them."""

WINDOWS = frozenset(
    """
    arp assoc at attrib auditpol bcdboot bcdedit bitsadmin bootcfg cacls certreq certutil chkdsk cipher cmd cmd.exe cmdkey
    cmstp copy cscript del diantz dir diskpart diskshadow dnscmd driverquery dsquery echo erase esentutl eventcreate expand
    extrac32 fc find findstr forfiles format fsutil ftp getmac gpresult gpupdate hh hostname icacls ipconfig installutil
    klist label makecab mavinject md mklink mode more mountvol move msbuild mshta msiexec msg nbtstat net net1 netsh netstat
    nltest nslookup ntdsutil odbcconf pathping pcalua ping powershell powershell.exe print prnjobs psexec psinfo pslist pushd qprocess
    query quser qwinsta rasdial reg regasm regedit regini register-cimprovider regsvcs regsvr32 ren rename replace rmdir
    robocopy route rpcping runas rundll32 sc schtasks scriptrunner sfc shutdown start subst syncappvpublishingserver
    systeminfo takeown taskkill tasklist tracert tree type typeperf vaultcmd ver verclsid vssadmin vol wbadmin wecutil wevtutil where whoami
    winrm winrs wmic wscript wsl xcopy calc notepad explorer mspaint iexplore
    """.split()
)
"""Of Windows."""

NAMES = UNIX | WINDOWS
"""Of either."""

PLAIN_WORDS = frozenset(
    """
    ab as at cat column copy crash cut date del dialog dig dir echo ed efax emacs env expand fc file find finger fmt format
    genie gem git go grep halt head help hd history host hostname hostid http https icon id info init install ip join jq kill knife
    label last latex less ln locate look lua mail make man md mode more mount move msg net nice nl node od octave patch paste perf pg
    php pic ping print ps puppet python query rake red ren rename replace reset rev route ruby sc screen script set service
    sleep snap socket sort source split ss start stat strings su tail tar task tee telnet terraform test tex time timeout toilet top touch
    tr trap tree true type ul uniq unset uptime users ver vi view vol w wait wall watch where which who wish yarn yes
    alias cal cd cp df du eval exec export query shuf task reboot shutdown ulimit script sed sh ls mv rm nc arp hh patch subst label
    fetch free jobs java explorer calc notepad exit
    dd arch aws az helm john hydra vault consul mongo cargo gradle conda brew podman gdb gpg mvn apk dotnet
    less more groups node bridge highlight alpine composer docker dash bundler nano pico apt zip unzip erase cipher
    """.split()
)
"""Those that are words, names or abbreviations of prose as well: they need company to say anything."""

TOOLS = frozenset("id ls dir pwd ps who env set ver df du uptime hostname arp w last net cat sh nc rm vol ip".split())
"""Those of them that are run without an argument."""

TERSE = TOOLS | frozenset(
    """
    cd cp df du ed rd md mv rm sc vi nl od wc tee sed tac echo grep tail touch chmod chown del ren calc notepad eval exec shuf
    rmdir mkdir unset crontab erase calc.exe notepad.exe sleep ping
    """.split()
)
"""Those of them that no title, list or phrase goes on with after a bar or an ampersand."""

BARE = frozenset(
    "cd cp df du rd mv sc vi nl wc sed tac grep chmod chown ren eval exec shuf rmdir mkdir unset crontab ls pwd ps nc".split()
)
"""Those of them that are nothing else, whatever they are given."""

CALLING = frozenset(
    """
    ping ping6 nslookup dig host telnet ssh ftp tftp sftp scp curl wget fetch lynx nc ncat netcat traceroute tracert pathping
    whois mtr arping rsync smbclient rexec rlogin rsh socat
    """.split()
)
"""Those that are given the name of a host."""

BUSY = frozenset(
    """
    whoami ifconfig ipconfig netstat systeminfo uname nslookup lsof tasklist passwd lastlog sysinfo visudo dmesg traceroute tracert
    wget curl tcpdump nmap netcat ncat socat busybox printenv lsb_release hostnamectl iptables crontab useradd usermod chpasswd
    adduser regedit certutil bitsadmin powershell pwsh wmic netsh taskkill schtasks msfconsole sqlmap ansible-playbook
    ansible-inventory ansible-config ansible-galaxy ansible-vault ansible-console ansible-pull ansible-test ansible-doc chef-vault chef-client
    chef-shell chef-run cscli
    aa-disable rmt-dump mkfifo nohup sudoedit pkexec
    """.split()
)
"""Those that nobody types for another reason: enough as a whole value or as its beginning."""

NAMED_ALONE = frozenset(
    "lastlog passwd regedit adduser powershell pwsh curl wget nmap netcat ncat socat busybox tcpdump iptables sqlmap nohup".split()
)
"""Those of the busy ones that are also the names of fields, formats and settings: nothing as a whole value."""

RARE = frozenset(name for name in BUSY if "-" in name or "_" in name) | frozenset(
    "visudo cscli ifconfig ipconfig usermod useradd chpasswd hostnamectl whoami bitsadmin certutil sqlmap busybox".split()
)
"""Those of them that are words of no language: enough with anything after them."""

CMDLETS = (
    "invoke-expression", "invoke-webrequest", "invoke-restmethod", "invoke-command", "invoke-item", "invoke-history",
    "invoke-wmimethod", "invoke-mimikatz", "invoke-shellcode", "start-process", "start-job", "start-bitstransfer",
    "new-object", "new-item", "new-service", "new-psdrive", "get-content", "get-childitem", "get-process", "get-service",
    "get-wmiobject", "get-credential", "get-help", "get-command", "get-item", "get-itemproperty", "get-location", "get-host",
    "get-psdrive", "set-content", "set-item", "set-itemproperty", "set-executionpolicy", "set-alias", "add-content", "add-type",
    "remove-item", "copy-item", "move-item", "rename-item", "out-file", "out-null", "out-string", "select-object",
    "select-string", "sort-object", "where-object", "foreach-object", "format-list", "format-table", "import-module",
    "convertto-securestring", "convertto-json", "convertfrom-json", "download-file", "stop-process", "stop-service", "stop-computer", "restart-computer", "start-sleep", "get-acl", "get-ciminstance", "get-eventlog",
    "get-aduser", "get-localuser", "get-netipaddress", "set-mppreference", "add-mppreference", "enter-pssession", "new-pssession",
    "invoke-cimmethod", "register-scheduledtask", "expand-archive", "test-path",
    "test-connection", "write-output", "write-host", "write-warning", "update-help", "compare-object", "export-csv",
)  # fmt: skip
"""Verbs and nouns of PowerShell."""


def alternatives(names: Iterable[str]) -> str:
    """One expression for `names`, sharing their beginnings, longest first: it fails at the first letter no name has."""
    by_letter: dict[str, set[str]] = {}
    for name in names:
        by_letter.setdefault(name[:1], set()).add(name[1:])
    ends = by_letter.pop("", None) is not None
    inner = "|".join(re.escape(letter) + alternatives(rest) for letter, rest in sorted(by_letter.items()))
    return "" if not inner else f"(?:{inner}){'?' if ends else ''}"
