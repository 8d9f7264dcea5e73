"""A report as a reader's program sees it: its elements, texts and data."""

import base64
import gzip
import json
from html.parser import HTMLParser

VOID = {"meta", "input", "link", "img", "br"}


class Element:
    """An element with its attributes, its elements, and its own text."""

    def __init__(self, tag, attributes, parent=None):
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children, self.own = [], ""

    def all(self, tag=None, **wanted):
        """The elements below it, in order, of this tag and with these attributes."""
        for child in self.children:
            has = all(child.attributes.get(key.strip("_")) == wanted[key] for key in wanted)
            if has and tag in (None, child.tag):
                yield child
            yield from child.all(tag, **wanted)

    def first(self, tag=None, **wanted):
        """The first of them."""
        return next(self.all(tag, **wanted))

    @property
    def text(self):
        """All text in it."""
        return self.own + "".join(child.text for child in self.children)


class Reader(HTMLParser):
    """Builds the elements; an end that does not fit its start is an error."""

    def __init__(self):
        super().__init__()
        self.root = self.at = Element("", {})

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes), self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_endtag(self, tag):
        assert tag == self.at.tag, f"</{tag}> ends <{self.at.tag}>"
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.own += data


def read(path):
    """The page's root element."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.at is reader.root, f"<{reader.at.tag}> has no end"
    return reader.root


def rows(table):
    """A table's rows as texts."""
    return [
        [cell.text for cell in row.children]
        for part in ("thead", "tbody")
        for row in table.first(part).all("tr")
    ]


def data(root):
    """The data of every figure, by its name."""
    blocks = root.all("script", type="application/gzip")
    return {block.attributes["id"].removeprefix("data-"): unpacked(block.own) for block in blocks}


def unpacked(text):
    """The data that a figure of the report holds."""
    return json.loads(gzip.decompress(base64.b64decode(text)))
