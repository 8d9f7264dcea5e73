"""A reader of the service's pages without scripts: it follows redirects, and sends forms."""

import httpx
from report_page import Reader

BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"}


def parsed(text):
    """The root element of a page's text."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.at is reader.root, f"<{reader.at.tag}> has no end"
    return reader.root


class Visitor:
    """A browser of a user, who logs in with the token; nobody for None.

    Args:
        users: The service, and tokens of its users.
        name: Name of the user.
    """

    def __init__(self, users, name=None):
        self.client = httpx.Client(
            base_url=users.url, headers=BROWSER, timeout=60, follow_redirects=True
        )
        if name:
            self.send("/login", "/login", token=users.tokens[name])

    def get(self, path, **headers):
        """The answer to a request for a page."""
        return self.client.get(path, headers=headers)

    def page(self, path, status=200):
        """A page with its elements."""
        answer = self.get(path)
        assert answer.status_code == status, answer.text
        return parsed(answer.text)

    def fields(self, path, action):
        """The hidden fields of a form of a page."""
        (form,) = (
            form
            for form in self.page(path).all("form")
            if form.attributes.get("action", path) == action
        )
        return {
            field.attributes["name"]: field.attributes["value"]
            for field in form.all("input", type="hidden")
        }

    def send(self, path, action, /, **fields):
        """Send a form of a page, as a browser does; the answer after redirects."""
        data = {**self.fields(path, action), **fields}
        return self.client.post(action, data=data)
