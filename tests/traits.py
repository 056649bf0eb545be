# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests know of each front: one row for a server. The standard library is all that it needs,
since hosts of the scenario hostile read it, too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """A front as its tests see it; a value that it has not stays out.

    unit: its systemd unit, without the suffix.
    directory: where its configuration is.
    main, vhosts: its main file, and that of its virtual hosts.
    parser: the command that reads all files and changes nothing.
    unknown: a directive that its parser does not know.
    foreign: a file of others that its main file reads.
    escapes: texts of a site's own that would leave its file and go on outside, were they taken.
    without_back: the statuses of a site whose back is down.
    waits: how it is told to wait 25 s for an answer.
    media_type: a pattern for an entry of its table, with the groups type and extensions.
    authenticates: asks for a name and a password; takes the path of the users' file.
    block: a pattern for one virtual host.
    secure: what begins the part of a virtual host that has TLS.
    listen_tls, redirect: a listener on port 8443, and where plain HTTP leads then.
    """

    unit: str
    directory: str
    main: str
    without_back: tuple[int, ...]
    waits: str
    media_type: str
    authenticates: str
    vhosts: str = ""
    parser: tuple[str, ...] = ()
    unknown: str = ""
    foreign: str | None = None
    escapes: tuple[str, ...] = ()
    block: str = ""
    secure: str = ""
    listen_tls: str = ""
    redirect: str = ""

    def file_of(self, site: str) -> str:
        """The file of one site."""
        return f"{self.directory}/pyweb/{site}.conf"


TRAITS = {
    "apache": Traits(
        unit="apache2",
        directory="/etc/apache2",
        main="/etc/apache2/apache2.conf",
        without_back=(503,),
        waits="timeout=25",
        media_type=r'^AddType "(?P<type>[^"]+)" (?P<extensions>.+)$',
        authenticates="""<Location "/">
    AuthType Basic
    AuthName "members"
    AuthUserFile "{users}"
    Require valid-user
</Location>""",
        vhosts="/etc/apache2/sites-enabled/pyweb.conf",
        parser=("apachectl", "configtest"),
        unknown="NoSuchDirective On",
        foreign="/etc/apache2/conf-enabled/foreign.conf",
        escapes=(
            "</VirtualHost>",
            "</VirtualHost>\n<VirtualHost *:80>",
            '<Location "/x">',
            '<Location "/x">\n</VirtualHost>',
            "<IfModule x>",
            "</Location>",
            "<VirtualHost *:81>\n</VirtualHost>",
        ),
        block=r"^<VirtualHost.*?^</VirtualHost>",
        secure="<VirtualHost *:443>",
        listen_tls="8443",
        redirect="https://%{SERVER_NAME}:8443%1",
    ),
    "nginx": Traits(
        unit="nginx",
        directory="/etc/nginx",
        main="/etc/nginx/nginx.conf",
        without_back=(502,),
        waits="_read_timeout 25s;",
        media_type=r'^ +"(?P<type>[^"]+/[^"]+)" (?P<extensions>.+);$',
        authenticates="""auth_basic members;
auth_basic_user_file "{users}";""",
        vhosts="/etc/nginx/sites-enabled/pyweb.conf",
        parser=("nginx", "-q", "-t"),
        unknown="no_such_directive on;",
        foreign="/etc/nginx/conf.d/foreign.conf",
        escapes=(
            "}",
            "} server { listen 81; server_name evil.test;",
            "location /x {",
            'add_header X "',
            "{",
            "gzip on",
            "\\",
        ),
        block=r"^server \{\n.*?^\}",
        secure="listen 443 ssl;",
        listen_tls="[::]:8443",
        redirect="https://$host:8443$request_uri",
    ),
    "lighttpd": Traits(
        unit="lighttpd",
        directory="/etc/lighttpd",
        main="/etc/lighttpd/lighttpd.conf",
        without_back=(503,),
        waits='"read-timeout" => 25,',
        media_type=r'^ +"\.(?P<extensions>\w+)" => "(?P<type>[^"]+/[^"]+)",$',
        authenticates="""auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "{users}"
auth.require = ("" => ("method" => "basic", "realm" => "members", "require" => "valid-user"))""",
        vhosts="/etc/lighttpd/pyweb.conf",
        parser=("lighttpd", "-tt", "-f", "/etc/lighttpd/lighttpd.conf"),
        unknown="no.such-option = ",
        escapes=(
            '$HTTP["host"] == "evil.test" {',
            '}\n$HTTP["host"] == "evil.test" {',
            'server.tag = "',
            "server.tag = (",
            "\\",
        ),
        block=r"^(?:else )?\$HTTP\[\"host\"\].*?^\}",
        secure='$HTTP["scheme"] == "https" {',
        listen_tls="0.0.0.0:8443",
        redirect="https://%1:8443${url.path}",
    ),
    "cherokee": Traits(
        unit="cherokee",
        directory="/etc/cherokee",
        main="/etc/cherokee/cherokee.conf",
        without_back=(502, 503),  # 502 over http
        waits="!timeout = 25",
        media_type=r"^mime!(?P<type>.+)!extensions = (?P<extensions>.+)$",
        authenticates="""rule!1000000!match = directory
rule!1000000!match!directory = /
rule!1000000!match!final = 0
rule!1000000!auth = htpasswd
rule!1000000!auth!methods = basic
rule!1000000!auth!realm = members
rule!1000000!auth!passwdfile = {users}""",
    ),
}
