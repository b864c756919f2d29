# ruff: noqa: E501  (one verifier per line reads best)
"""Ordinary verifiers: what models write in earnest, module by module.

`ONE_LINERS` are imports and the expression that is returned; `SOURCES` has these and longer ones.
"""

ONE_LINERS = {
    "str": [
        ("", "len(r) > 10"), ("", "'e' not in r.lower()"), ("", "r.strip().endswith('.')"), ("", "r.isupper()"),
        ("", "r == r.title()"), ("", "r.count(',') >= 1"), ("", "len(r.split()) % 2 == 0"), ("", "r.casefold() == r.lower()"),
        ("", "r.isascii()"), ("", "all(w[0].isupper() for w in r.split())"), ("", "r.splitlines()[0].startswith('#')"),
        ("", "sum(c.isdigit() for c in r) > 0"), ("", "r.partition(':')[2] != ''"), ("", "r.translate(str.maketrans('', '', 'aeiou')) == r"),
        ("", "r[::-1] == r"), ("", "len(set(r)) < len(r)"), ("", "any(ord(c) > 0x4e00 for c in r)"), ("", "r.isidentifier()"),
        ("", "r.expandtabs(4) == r"), ("", "'{}-{}'.format(len(r), r[:1]) != ''"), ("", "'%s' % r == r"), ("", "f'{len(r):>5}'.strip().isdigit()"),
        ("", "r.encode('utf-8').decode('utf-8') == r"), ("", "max(r.split(), key=len, default='') != ''"), ("", "sorted(r.split()) == r.split()"),
        ("", "int(r)  > 3"), ("", "float(r) < 1e9"), ("", "r.removeprefix('a') != r"), ("", "bool(r) and r[0] in 'abc'"), ("", "r.zfill(20).startswith('0')"),
    ],
    "re": [
        ("import re", "bool(re.search(r'\\d+', r))"), ("import re", "len(re.findall(r'[.!?]', r)) <= 3"), ("import re", "re.fullmatch(r'[A-Z].*', r, re.S) is not None"),
        ("import re", "re.sub(r'\\s+', ' ', r).strip() == r"), ("import re", "len(re.split(r'\\n\\s*\\n', r)) > 1"), ("import re", "bool(re.match(r'^- ', r, re.M))"),
        ("import re", "all(re.compile(r'^\\w+$').match(w) for w in r.split())"), ("import re", "bool(re.search(r'(?P<y>19|20)\\d\\d', r))"), ("import re", "re.escape(r) == r"),
        ("from re import findall, IGNORECASE", "len(findall('the', r, IGNORECASE)) > 0"), ("import re", "[m.start() for m in re.finditer('a', r)] != []"), ("import re", "bool(re.search(r'[\\u4e00-\\u9fff]', r))"),
    ],
    "collections": [
        ("from collections import Counter", "Counter(r.lower().split()).most_common(1)[0][1] > 1"), ("from collections import defaultdict", "len(defaultdict(int, {c: 1 for c in r})) > 3"),
        ("import collections", "collections.deque(r, maxlen=2).pop() == '.'"), ("from collections import OrderedDict", "''.join(OrderedDict.fromkeys(r)) == r"),
        ("from collections import namedtuple", "namedtuple('P', 'x y')(1, len(r)).y > 3"), ("from collections.abc import Sequence", "isinstance(r, Sequence)"),
        ("from collections import ChainMap", "ChainMap({}, {'a': r})['a'] == r"),
    ],
    "json and csv": [
        ("import json", "isinstance(json.loads(r), dict)"), ("import json", "json.dumps(r, ensure_ascii=False) != ''"), ("import json", "json.loads(json.dumps({'r': r}))['r'] == r"),
        ("import csv, io", "len(next(csv.reader(io.StringIO(r)))) > 1"), ("import csv", "list(csv.DictReader(r.splitlines())) == []"), ("import ast", "isinstance(ast.literal_eval(r), (int, list))"),
        ("import tomllib", "isinstance(tomllib.loads(r), dict)"), ("import ast", "ast.unparse(ast.parse(r)) != ''"),
    ],
    "math": [
        ("import math", "math.sqrt(len(r)) > 3"), ("import math", "math.isclose(len(r), 10)"), ("import math", "math.gcd(len(r), 6) == 2"), ("import math", "math.prod(map(len, r.split())) > 10"),
        ("import cmath", "abs(cmath.exp(1j * len(r))) > 0"), ("import statistics", "statistics.mean(map(len, r.split())) > 4"), ("import statistics", "statistics.median([len(w) for w in r.split()]) < 5"),
        ("import statistics", "statistics.pstdev(map(ord, r)) > 20"), ("import statistics", "statistics.quantiles(range(len(r)), n=4)[0] > 1"), ("from fractions import Fraction", "Fraction(len(r), 3) > Fraction('7/2')"),
        ("from decimal import Decimal, getcontext", "Decimal(len(r)) / Decimal(7) > Decimal('1.5')"), ("from decimal import Decimal", "Decimal(r.strip()) > 1"), ("from decimal import Decimal, ROUND_HALF_UP", "Decimal('2.5').quantize(Decimal(1), ROUND_HALF_UP) == 3 and len(r) > 3"),
        ("import numbers", "isinstance(len(r), numbers.Integral)"), ("import random", "random.Random(7).random() < 0.5 and len(r) > 2"), ("import random", "random.Random(len(r)).sample(range(9), 2)[0] > 3"),
        ("import array", "array.array('I', map(ord, r)).itemsize == 4"), ("import bisect", "bisect.bisect(sorted(r), 'e') > 2"), ("import heapq", "heapq.nlargest(1, r) > ['t']"), ("import operator", "operator.itemgetter(0)(r) == 'a'"),
        ("import statistics", "statistics.NormalDist(0, 1).cdf(len(r)) > 0.9"), ("import statistics", "statistics.mode(r) == 'a'"),
    ],
    "itertools and functools": [
        ("import itertools", "max(len(list(g)) for _, g in itertools.groupby(r)) > 1"), ("from itertools import pairwise", "any(a == b for a, b in pairwise(r))"), ("from itertools import chain", "len(list(chain(r, r))) > 9"),
        ("from functools import reduce", "reduce(lambda a, c: a + ord(c), r, 0) % 2 == 0"), ("import functools", "functools.partial(int, base=10)(r) > 1"), ("import itertools", "list(itertools.accumulate(map(len, r.split())))[-1] > 10"),
        ("from itertools import zip_longest", "all(a == b for a, b in zip_longest(r, r[::-1]))"), ("import itertools", "len(list(itertools.combinations(r[:5], 2))) == 10"), ("import copy", "copy.deepcopy([r]) == [r]"),
    ],
    "string and text": [
        ("import string", "all(c not in string.punctuation for c in r)"), ("import string", "string.capwords(r) == r"), ("from string import Template", "Template('$x').substitute(x=r) == r"), ("import string", "string.Formatter().format('{0}', r) == r"),
        ("import textwrap", "textwrap.fill(r, 40).count('\\n') > 0"), ("import textwrap", "textwrap.dedent(r) == r"), ("import textwrap", "textwrap.shorten(r, 20) != r"), ("import textwrap", "len(textwrap.wrap(r, 10)) > 2"),
        ("import difflib", "difflib.SequenceMatcher(None, r, r.upper()).ratio() > 0.3"), ("import difflib", "difflib.get_close_matches('quick', r.split()) != []"), ("import difflib", "list(difflib.unified_diff(r.splitlines(), [])) != []"),
        ("import unicodedata", "any(unicodedata.category(c) == 'So' for c in r)"), ("import unicodedata", "unicodedata.normalize('NFC', r) == r"), ("import unicodedata", "unicodedata.normalize('NFKD', r).encode('ascii', 'ignore').decode() == r"),
        ("import unicodedata", "any('CJK' in unicodedata.name(c, '') for c in r)"), ("import unicodedata", "sum(unicodedata.east_asian_width(c) == 'W' for c in r) > 0"), ("import unicodedata", "unicodedata.lookup('BULLET') in r"),
        ("import unicodedata", "unicodedata.bidirectional(r[0]) == 'L'"), ("import keyword", "any(keyword.iskeyword(w) for w in r.split())"), ("import pprint", "pprint.pformat([r]).startswith('[')"),
        ("import html", "html.unescape(html.escape(r)) == r"), ("import html", "html.unescape(r) != r"), ("from html.entities import name2codepoint", "chr(name2codepoint['eacute']) in r"),
        ("import urllib.parse", "urllib.parse.unquote(urllib.parse.quote(r)) == r"), ("from urllib.parse import urlparse", "urlparse(r).scheme in ('http', 'https')"), ("from urllib.parse import parse_qs", "parse_qs('a=1&b=' + r)['a'] == ['1']"),
        ("from urllib.parse import urlencode, urljoin", "urlencode({'q': r}).startswith('q=') and urljoin('http://a/', 'b') == 'http://a/b'"), ("import ipaddress", "ipaddress.ip_address(r.strip()).version == 4"),
    ],
    "time": [
        ("import datetime", "datetime.date.fromisoformat(r.strip()).year == 2024"), ("from datetime import datetime", "datetime.strptime(r.strip(), '%Y-%m-%d').month == 2"), ("from datetime import date, timedelta", "(date(2024, 2, 28) + timedelta(days=len(r) % 3)).day > 1"),
        ("from datetime import datetime, timezone", "datetime(2024, 1, 1, tzinfo=timezone.utc).isoformat().endswith('+00:00') and len(r) > 3"), ("import calendar", "calendar.monthrange(2024, 2)[1] == 29"), ("import calendar", "any(name in r for name in calendar.month_name if name)"),
        ("import datetime", "datetime.date(2024, 2, 29).strftime('%A %d %B %Y') in r"), ("import time", "time.strftime('%Y', time.gmtime(0)) == '1970'"), ("import time", "time.strptime('2024', '%Y').tm_year == 2024"), ("from datetime import datetime", "datetime.fromtimestamp(0, tz=None).year < 1971"),
    ],
    "bytes and hashes": [
        ("import base64", "base64.b64decode(base64.b64encode(r.encode())).decode() == r"), ("import base64", "base64.b64decode(r, validate=True) != b''"), ("import base64", "base64.b32encode(r.encode()).isupper()"), ("import binascii", "binascii.unhexlify(r.strip()) != b''"),
        ("import binascii", "binascii.crc32(r.encode()) % 2 == 0"), ("import hashlib", "hashlib.sha256(r.encode()).hexdigest()[0] in '01234567'"), ("import hashlib", "hashlib.md5(r.encode()).digest()[0] < 128"), ("import hashlib", "hashlib.new('sha1', r.encode()).hexdigest() > '8'"),
        ("import hashlib", "hashlib.blake2b(r.encode(), digest_size=4).hexdigest() > '8'"), ("import hashlib", "hashlib.sha3_256(r.encode()).digest()[0] % 2 == 0"), ("import hashlib", "'sha512' in hashlib.algorithms_available and len(hashlib.sha512(r.encode()).hexdigest()) == 128"),
        ("import hashlib", "hashlib.pbkdf2_hmac('sha256', r.encode(), b's', 2)[0] < 128"), ("import hmac", "hmac.new(b'k', r.encode(), 'sha256').hexdigest() > '8'"), ("import zlib", "len(zlib.compress(r.encode())) < len(r.encode())"), ("import struct", "struct.unpack('<I', struct.pack('<I', len(r)))[0] > 9"),
        ("import io", "io.StringIO(r).readline().endswith('\\n')"), ("import io", "io.TextIOWrapper(io.BytesIO(r.encode()), encoding='utf-8').read() == r"),
    ],
    "xml": [
        ("import xml.etree.ElementTree as ET", "ET.fromstring(r).tag == 'a'"), ("from xml.etree import ElementTree", "[e.text for e in ElementTree.fromstring('<a><b>1</b></a>').iter('b')] == ['1'] and len(r) > 2"), ("from xml.dom import minidom", "minidom.parseString(r).documentElement.tagName == 'a'"),
        ("import xml.etree.ElementTree as ET", "ET.tostring(ET.Element('p', {'q': r}), encoding='unicode').startswith('<p')"),
    ],
    "codecs": [
        *((f"# {name}", f"r.encode({name!r}).decode({name!r}) == r") for name in (
            "gbk", "gb2312", "gb18030", "hz", "big5", "big5hkscs", "shift_jis", "euc_jp", "iso2022_jp", "cp932", "euc-kr", "cp949", "johab",
            *(f"iso-8859-{n}" for n in (*range(1, 12), 13, 14, 15, 16)), "latin-1", "cp1252", "cp1251", "koi8-r", "mac_roman", "cp437", "utf-16", "utf-32-be", "utf-7", "utf-8-sig", "punycode", "unicode_escape", "ascii",
        )),
        ("import codecs", "codecs.encode(codecs.encode(r, 'rot13'), 'rot13') == r"), ("import codecs", "codecs.decode('uryyb', 'rot_13') in r"), ("import codecs", "codecs.encode(r.encode(), 'hex').isalnum()"), ("import codecs", "codecs.encode(r.encode(), 'base64') != b''"), ("import codecs", "codecs.lookup('GBK').name == 'gbk'"),
        ("import codecs", "codecs.encode(r.encode(), 'quopri') == r.encode()"), ("", "r.encode('gbk', 'replace') == r.encode('gbk', 'ignore')"), ("", "r.encode('no-such-codec')"), ("", "str(b'\\xd6\\xd0', 'gbk') in r"), ("", "r.encode('shift_jis', 'xmlcharrefreplace') != b''"), ("", "r.encode('idna') != b''"),
    ],
    "other": [
        ("from typing import Optional, List, Dict, Tuple", "isinstance(r, str) and Optional[str] is not None"), ("import types", "isinstance(types.SimpleNamespace(a=r).a, str)"), ("import contextlib, io", "contextlib.redirect_stdout(io.StringIO()) is not None"), ("import warnings", "warnings.warn('careful') is None"),
        ("", "print(r) is None"), ("", "hash(('a', 1)) == hash(('a', 1))"), ("", "eval('len(r) > 5', {'r': r})"), ("", "isinstance(globals(), dict) and __name__ != ''"), ("", "1 / (len(r) - 11) > 0"), ("", "r"), ("", "[][0]"), ("", "{}['a']"),
    ],
}  # fmt: skip

LONGER = [
    # Postponed annotations are looked up in the module of the class.
    "from __future__ import annotations\nfrom dataclasses import dataclass, field\nfrom typing import ClassVar\n@dataclass\nclass Rule:\n    LIMIT: ClassVar[int] = 3\n    words: list[str] = field(default_factory=list)\ndef evaluate(r: str) -> bool:\n    return len(Rule(r.split()).words) > Rule.LIMIT",
    "from __future__ import annotations\nfrom dataclasses import dataclass, KW_ONLY, InitVar, asdict, replace\n@dataclass(frozen=True, order=True)\nclass P:\n    a: int\n    b: InitVar[int] = 0\n    _: KW_ONLY\n    c: int = 1\n    def __post_init__(self, b): pass\ndef evaluate(r):\n    return replace(P(len(r)), a=3, b=0) < P(len(r)) and asdict(P(1))['c'] == 1",
    "from dataclasses import dataclass\n@dataclass(slots=True)\nclass P:\n    text: str\n    def ok(self): return 'a' in self.text\ndef evaluate(r): return P(r).ok()",
    "from dataclasses import make_dataclass, fields\nP = make_dataclass('P', [('x', int)])\ndef evaluate(r): return fields(P)[0].name in r and P(1) == P(1)",
    "from enum import Enum, auto\nclass Mood(Enum):\n    CALM = auto()\n    LOUD = auto()\ndef evaluate(r):\n    return (Mood.LOUD if '!' in r else Mood.CALM) is Mood.CALM and Mood['LOUD'].value == 2",
    "from enum import IntFlag, StrEnum, unique\n@unique\nclass F(IntFlag):\n    A = 1\n    B = 2\nclass S(StrEnum):\n    X = 'x'\ndef evaluate(r): return bool(F.A | F.B) and S.X in r",
    "import enum, copy\nclass C(enum.Enum):\n    A = 1\ndef evaluate(r): return copy.deepcopy(C.A) is C.A and len(r) > 1",
    "from typing import NamedTuple, TypedDict, Protocol, get_type_hints\nclass P(NamedTuple):\n    x: int\n    y: 'str' = ''\nclass D(TypedDict, total=False):\n    a: 'int'\nclass S(Protocol):\n    def go(self) -> int: ...\ndef evaluate(r): return get_type_hints(P) == {'x': int, 'y': str} and get_type_hints(D) == {'a': int} and P(1).x < len(r)",
    "from __future__ import annotations\nimport typing\ndef helper(x: int | None) -> list[str]: return []\ndef evaluate(r): return typing.get_type_hints(helper)['return'] == list[str] and len(r) > 3",
    "from typing import Generic, TypeVar, Callable, Union, Literal\nT = TypeVar('T')\nclass Box(Generic[T]):\n    def __init__(self, v: T): self.v = v\ndef evaluate(r: Union[str, bytes]): return Box[str](r).v == r",
    "import functools\n@functools.lru_cache(maxsize=None)\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\ndef evaluate(r): return fib(len(r) % 30) % 2 == 0",
    "import functools\n@functools.singledispatch\ndef size(x): return 0\n@size.register\ndef _(x: str): return len(x)\ndef evaluate(r): return size(r) > 10",
    "import functools\n@functools.total_ordering\nclass V:\n    def __init__(self, v): self.v = v\n    def __eq__(self, o): return self.v == o.v\n    def __lt__(self, o): return self.v < o.v\ndef evaluate(r): return V(len(r)) >= V(11)",
    "from html.parser import HTMLParser\nclass P(HTMLParser):\n    def __init__(self):\n        super().__init__()\n        self.tags = []\n    def handle_starttag(self, tag, attrs): self.tags.append(tag)\ndef evaluate(r):\n    p = P()\n    p.feed(r)\n    return 'a' in p.tags",
    "from abc import ABC, abstractmethod\nclass Check(ABC):\n    @abstractmethod\n    def run(self, r): ...\nclass A(Check):\n    def run(self, r): return 'a' in r\ndef evaluate(r): return A().run(r)",
    "from contextlib import contextmanager, suppress\n@contextmanager\ndef box():\n    yield 1\ndef evaluate(r):\n    with box() as b, suppress(ValueError):\n        return int(r) == b\n    return False",
    "def evaluate(r):\n    match r.split():\n        case []: return False\n        case [one]: return one.isdigit()\n        case [first, *rest] if first.istitle(): return len(rest) > 1\n        case _: return False",
    "def evaluate(r):\n    def vowels():\n        for c in r:\n            if c in 'aeiou': yield c\n    return sum(1 for _ in vowels()) > 3",
    "class E(Exception):\n    pass\ndef evaluate(r):\n    try:\n        if not r: raise E('empty')\n        return r[0].isalpha()\n    except E as e:\n        return str(e) == 'x'\n    finally:\n        pass",
    "import copy\nclass Node:\n    __slots__ = ('v',)\n    def __init__(self, v): self.v = v\n    def __repr__(self): return f'Node({self.v!r})'\ndef evaluate(r): return repr(copy.copy(Node(r))) == f'Node({r!r})'",
    "import asyncio_is_not_here\ndef evaluate(r): return True",
    "if __name__ == '__main__':\n    print('test')\ndef evaluate(r): return len(r) > 5",
    "import re\nfrom typing import Final\nPATTERN: Final = re.compile(r'^\\d+\\.\\s', re.M)\ndef evaluate(response: str, **kwargs) -> bool:\n    return len(PATTERN.findall(response)) >= 2",
    "def evaluate(response, limit=5, *, strict=True):\n    return len(response.split()) <= limit and strict",
    "from decimal import Decimal, localcontext\ndef evaluate(r):\n    with localcontext() as c:\n        c.prec = 3\n        return str(Decimal(1) / Decimal(3)) == '0.333' and len(r) > 2",
    "from collections import UserDict, UserList, UserString\nclass D(UserDict): pass\ndef evaluate(r): return D(a=r)['a'] == UserString(r) and UserList(r)[:] == list(r)",
    "import numpy_is_not_here as np\ndef evaluate(r): return np.bool_(True)",
    "from graphlib_is_not_here import x\nevaluate = x",
    "import re, json\ndef evaluate(r):\n    m = re.search(r'```json\\s*(.*?)```', r, re.DOTALL)\n    if not m:\n        return False\n    try:\n        json.loads(m.group(1))\n    except json.JSONDecodeError:\n        return False\n    return True",
]  # fmt: skip

TEXTS = [
    "", "a", "12", "2024-02-29", "The quick brown fox, hello.", "中文文本。第二句！", "日本語のテキスト", "한국어 문장", "Élève naïve café ½ •",
    '{"a": [1, 2]}', "<a>x &amp; <b/></a>", "# Title\n\n- one\n- two\n\n1. x\n2. y\n```json\n[1]\n```", "https://example.org/a?b=1", "aGVsbG8=", "HELLO WORLD!", "level", "10.0.0.1", "Thursday 29 February 2024\t\u2028end",
]  # fmt: skip

SOURCES = [
    f"{imports}\ndef evaluate(r):\n    return {expression}"
    for group in ONE_LINERS.values()
    for imports, expression in group
] + LONGER
