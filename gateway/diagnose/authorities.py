"""Who may sign certificates for the public, and what servers present that nobody has given a certificate. Pure.

Sources: wiki.mozilla.org/CA/Included_Certificates (names of the owners and of their issuing authorities, read 2026-11);
the default certificates are those of Traefik, ingress-nginx, Debian's ssl-cert and Plesk, as their manuals name them.
"""

from gateway.diagnose.wording import Text

_PUBLIC = [
    "digicert",
    "let's encrypt",
    "lets encrypt",
    "isrg",
    "globalsign",
    "google trust services",
    "sectigo",
    "comodo ca",
    "comodo rsa",
    "comodo ecc",
    "amazon ",
    "entrust",
    "godaddy",
    "go daddy",
    "starfield",
    "cloudflare inc ecc",
    "cloudflare inc rsa",
    "cloudflare tls",
    "baltimore",
    "identrust",
    "microsoft azure",
    "microsoft rsa",
    "microsoft ecc",
    "microsoft tls",
    "geotrust",
    "thawte",
    "rapidssl",
    "usertrust",
    "quovadis",
    "certum",
    "buypass",
    "swisssign",
    "zerossl",
    "ssl com",
    "harica",
    "actalis",
    "trustasia",
    "wotrus",
    "cfca",
    "gdca",
    "apple public",
    "apple ist",
    "trustwave",
    "securetrust",
    "network solutions",
    "ssl corporation",
    "geant",
    "incommon",
    "internet2",
    "alphassl",
    "certigna",
    "t telesec",
    "telekom security",
    "d trust",
    "telia ",
    "gandi",
    "secom trust",
    "certsign",
    "microsec",
    "firmaprofesional",
    "izenpe",
    "hongkong post",
    "naver",
    "cybertrust japan",
    "jprs",
    "fake le",
    "staging",
    "verisign",
    "symantec class",
    "verokey",
    "e tugra",
    "twca",
    "chunghwa",
    "certainly",
    "sheca",
    "unitrust",
    "google internet authority",
    "gts ca",
    "we1 ",
    "wr2 ",
    "cpanel",
]
_DEFAULT = (
    "traefik default cert",
    "ingress controller fake certificate",
    "snakeoil",
    "cn localhost",
    "plesk",
    "acme co kubernetes",
)


def is_public(issuer: str) -> bool:
    """Whether an issuer's text, in any notation, names a public authority."""
    return Text(issuer).has(*_PUBLIC)


def is_default(issuer: str) -> bool:
    """Whether a server made this certificate for want of a real one."""
    return Text(issuer).has(*_DEFAULT)
