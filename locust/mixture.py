"""What is requested: the mixtures, and what a right answer is."""

from dataclasses import dataclass, field

from shapes import DEFAULT


@dataclass(frozen=True)
class Ask:
    """One kind of request. `name` and `method` are the labels of its numbers."""

    name: str
    path: str
    weight: int
    method: str = "GET"
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    status: int = 200
    # What the answer must contain.
    holds: bytes = b""


_ORDER = b'{"order":{"id":4711,"items":[{"sku":"keel","count":1},{"sku":"ballast","count":12}]}}'
_JSON = {"Content-Type": "application/json"}
_ECHOED = b'"body_length":%d' % len(_ORDER)
_ROOT = b'"server_id"'

MIXTURES = {
    # The routes of conf/evenkeel.yaml.
    "stack": (
        Ask("/", "/", 50, holds=_ROOT),
        Ask("/api/", "/api/", 20, holds=_ROOT),
        Ask("/api/echo", "/api/echo", 15, "POST", _JSON, _ORDER, holds=_ECHOED),
        Ask("/api/ beta", "/api/", 10, headers={"X-Beta": "1"}, holds=_ROOT),
        Ask("/docs", "/docs", 5, status=302),
    ),
    # The routes of `evenkeel demo`.
    "demo": (
        Ask("/", "/", 70, holds=_ROOT),
        Ask("/echo", "/echo", 15, "POST", _JSON, _ORDER, holds=_ECHOED),
        Ask("/sticky/", "/sticky/", 15, holds=_ROOT),
    ),
    # For any server with a page at `/`.
    "root": (Ask("/", "/", 1),),
}


def for_algorithm(algorithm):
    """The request that compares algorithms: always the same but for its algorithm."""
    path = "/" if algorithm == DEFAULT else f"/?algo={algorithm}"
    return Ask("/", path, 1, holds=_ROOT)


class Choice:
    """Draws from a mixture by weight."""

    def __init__(self, mixture):
        self._asks = MIXTURES[mixture]
        self._weights = [ask.weight for ask in self._asks]

    def draw(self, random):
        return random.choices(self._asks, self._weights)[0]
