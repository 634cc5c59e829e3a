"""What an encoder is, and the lists of all of them.

* an **encoder** makes a document that holds an address: a calendar, a PDF, a page in UTF-16;
* a **wrapper** puts a document into another: a zip, a JSON string, a winmail.dat;
* a **builder** makes a mail with a document as a part;
* a **carrier** puts a whole mail into another: forwarded, signed.
"""

from dataclasses import dataclass, field, replace

# What must come of it: the address is found, or the part is at least named as one that cannot be read.
FOUND, NAMED = "found", "named"


@dataclass(frozen=True)
class Document:
    """Octets as a program wrote them, and how a mail labels them."""

    data: bytes
    type: str = "text/plain"
    params: tuple = ()  # of the Content-Type: pairs
    name: str = ""  # the file's name
    text: str | None = None  # where `data` is no more than this text in UTF-8, so that texts can hold it
    depth: int = 0  # containers around the text, this one included
    must: str = FOUND
    subject: bytes | None = None  # a raw Subject
    fields: tuple = ()  # raw fields of the part, instead of those made from type and name

    def inside(self, **changes):
        """The same in another container: one deeper, and no less demanded than it was."""
        changes.setdefault("depth", self.depth + 1)
        return replace(self, **{"text": None, "params": (), "fields": (), **changes})


@dataclass(frozen=True)
class Step:
    """An encoder, wrapper, builder or carrier."""

    name: str
    family: str
    make: callable = field(compare=False)
    must: str = FOUND
    depth: int = 0  # how many containers it adds
    needs: str = ""  # `text`: wraps texts only
    bare: bool = False  # the part's own header is needed to read it: it cannot stand in an archive


ENCODERS, WRAPPERS, BUILDERS, CARRIERS = {}, {}, {}, {}


def _into(steps, family, **more):
    def keep(function):
        name = function.__name__.replace("_", "-").strip("-")
        assert name not in {**ENCODERS, **WRAPPERS, **BUILDERS, **CARRIERS}, f"two steps are called {name}"
        steps[name] = Step(name, family, function, **more)
        return function

    return keep


def encoder(family, must=FOUND, depth=0, bare=False):
    """Marks `f(address, rng) -> Document`."""
    return _into(ENCODERS, family, must=must, depth=depth, bare=bare)


def wrapper(family, must=FOUND, depth=1, needs=""):
    """Marks `f(document, rng) -> Document`."""
    return _into(WRAPPERS, family, must=must, depth=depth, needs=needs)


def builder(family="builders"):
    """Marks `f(document, heading, rng) -> octets of a mail`."""
    return _into(BUILDERS, family)


def carrier(family="carriers", depth=0):
    """Marks `f(mail, heading, rng) -> octets of a mail`."""
    return _into(CARRIERS, family, depth=depth)
