"""The domain packs on snippets as models write them: what each rule finds, and what it leaves."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from punie.agent.policies.base import Change, Policy
from punie.agent.policies.load import GROUP, load_installed

POLICIES = {policy.name: policy for policy in load_installed().policies}

FASTAPI = "from fastapi import Depends, FastAPI, Request\nimport time\napp = FastAPI()\n"
DJANGO = "from django.db import models\nfrom django.utils import timezone\n"
FLASK = "from flask import Flask, render_template_string\napp = Flask(__name__)\n"
SVCS = "from svcs_di import Inject, auto, auto_async\nimport svcs\n"
TDOM = "from tdom import Markup, html\n"

FOUND: list[tuple[str, str, str]] = [
    (
        "fastapi/depends-called",
        FASTAPI + "@app.get('/')\ndef f(db=Depends(get_db())): ...\n",
        "get_db is called once, at import, not for each request",
    ),
    (
        "fastapi/blocking-call",
        FASTAPI + "@app.get('/')\nasync def f():\n    time.sleep(1)\n",
        "time.sleep blocks the event loop of all requests",
    ),
    (
        "fastapi/shadowed-route",
        FASTAPI
        + "@app.get('/users/{id}')\ndef one(id: int): ...\n"
        + "@app.get('/users/me')\ndef me(): ...\n",
        "/users/me is never reached: /users/{id} above it matches first",
    ),
    (
        "fastapi/path-parameter",
        FASTAPI + "@app.get('/items/{item_id}')\ndef item(id: int): ...\n",
        "item does not take item_id of its path /items/{item_id}",
    ),
    (
        "django/on-delete",
        DJANGO + "class A(models.Model):\n    b = models.ForeignKey('B')\n",
        "models.ForeignKey needs on_delete",
    ),
    (
        "django/default-called",
        DJANGO + "class A(models.Model):\n    t = models.DateTimeField(default=timezone.now())\n",
        "timezone.now() is called once, at import",
    ),
    (
        "django/default-called",
        DJANGO + "class A(models.Model):\n    t = models.JSONField(default={})\n",
        "all rows share this one mutable default",
    ),
    (
        "django/built-sql",
        DJANGO + "A.objects.raw(f'SELECT * FROM a WHERE n = {name}')\n",
        "SQL is put together from values",
    ),
    (
        "django/built-sql",
        DJANGO + "cursor.execute('SELECT * FROM a WHERE n = %s' % name)\n",
        "SQL is put together from values",
    ),
    (
        "django/null-text",
        DJANGO + "class A(models.Model):\n    t = models.CharField(max_length=9, null=True)\n",
        "a text column with null=True has two empty values",
    ),
    ("flask/debug", FLASK + "app.run(debug=True)\n", "debug=True lets visitors run code"),
    (
        "flask/secret-key",
        FLASK + "app.config['SECRET_KEY'] = 'hunter2'\n",
        "the secret key stands in the source",
    ),
    ("flask/secret-key", FLASK + "app.secret_key = 'x'\n", "the secret key stands in the source"),
    (
        "flask/template-from-values",
        FLASK + "def f(name): return render_template_string(f'Hi {name}')\n",
        "a value becomes part of the template",
    ),
    (
        "flask/view-name",
        FLASK + "@app.route('/a')\ndef index(): ...\n@app.route('/b')\ndef index(): ...\n",
        "app has a view index already",
    ),
    ("pytest/asserts-nothing", "def test_a():\n    total([1])\n", "test_a asserts nothing"),
    ("pytest/always-true", "def test_a():\n    assert True\n", "this assertion always holds"),
    (
        "pytest/always-true",
        "def test_a():\n    assert (total([]) == 1, 'wrong')\n",
        "a tuple is always true",
    ),
    (
        "pytest/fixture-called",
        "import pytest\n@pytest.fixture\ndef db(): ...\ndef test_a():\n    assert db().ok\n",
        "the fixture db is called",
    ),
    (
        "pytest/skipped",
        "import pytest\n@pytest.mark.skip(reason='broken')\ndef test_a():\n    assert f()\n",
        "test_a is switched off",
    ),
    (
        "svcs-di/optional-inject",
        SVCS + "class A:\n    db: Inject[Database] | None = None\n",
        "a union with Inject is never injected",
    ),
    (
        "svcs-di/auto-not-called",
        SVCS + "registry.register_factory(Service, auto)\n",
        "auto itself is registered as the factory",
    ),
    (
        "svcs-di/factory-as-value",
        SVCS + "registry.register_value(Service, auto(Service))\n",
        "a factory is registered as a value: callers get the function",
    ),
    (
        "svcs-di/async-target",
        SVCS + "async def connect(): ...\nregistry.register_factory(Db, auto(connect))\n",
        "connect is async, and auto does not await it",
    ),
    (
        "svcs/kept-container",
        SVCS + "@dataclass\nclass A:\n    container: svcs.Container\n",
        "A keeps a container",
    ),
    (
        "tdom/not-a-template",
        TDOM + "html(f'<p>{name}</p>')\n",
        "html needs a template string; in a plain text nothing is escaped",
    ),
    (
        "tdom/markup-from-values",
        TDOM + "Markup(f'<b>{name}</b>')\n",
        "Markup of a text with values in it escapes none of them",
    ),
    (
        "tdom/component-called",
        TDOM + "html(t'<div><{Button()} label=\"x\" /></div>')\n",
        "a component is called where its tag stands",
    ),
    ("tdom/unbalanced", TDOM + "html(t'<p><b>{name}</p>')\n", "</p> closes nothing"),
    ("tdom/unbalanced", TDOM + "html(t'<p>{name}')\n", "<p> is not closed"),
]
PAGES: list[tuple[str, str, list[tuple[int, str]]]] = [
    ("html/unbalanced", "<div>\n<span>x</div>\n", [(2, "<span> is not closed")]),
    ("html/unbalanced", "<p>x</div>", [(1, "</div> closes nothing")]),
    (
        "html/duplicate-id",
        '<i id="a"></i>\n<b id="a"></b>',
        [(2, "the id a is used above already")],
    ),
    ("html/img-alt", '\n<img src="a.png">', [(2, "this image has no alt text")]),
    ("html/img-alt", '{% if x %}<img src="a.png">{% endif %}', [(1, "this image has no alt text")]),
    ("html/lang", "<html><body></body></html>", [(1, "the page does not say its language")]),
]
FINE = {
    "app.py": [
        FASTAPI + "@app.get('/')\nasync def f(db=Depends(get_db)):\n    await sleep(1)\n",
        FASTAPI + "@app.get('/')\ndef f():\n    time.sleep(1)\n",
        FASTAPI
        + "@app.get('/users/me')\ndef me(): ...\n@app.get('/users/{id}')\ndef one(id: int): ...\n"
        + "@app.post('/users/me')\ndef make(): ...\n@app.get('/users/{id}/pets')\ndef p(id): ...\n",
        FASTAPI + "@app.get('/files/{path:path}')\ndef f(path: str): ...\n",
        FASTAPI + "@app.get('/files/{path}')\ndef f(request: Request): ...\n",
        "import time\nasync def f():\n    time.sleep(1)\n",
        DJANGO + "class A(models.Model):\n    b = models.ForeignKey('B', models.CASCADE)\n"
        "    t = models.DateTimeField(default=timezone.now)\n    j = models.JSONField(default=dict)\n",
        DJANGO + "cursor.execute('SELECT * FROM a WHERE n = %s', [name])\n",
        FLASK + "import os\napp.secret_key = os.environ['KEY']\napp.run(debug=DEBUG)\n"
        "render_template_string('Hi {{ name }}', name=name)\n",
        FLASK + "@app.route('/a')\n@app.route('/b')\ndef index(): ...\n",
        SVCS + "class A:\n    db: Inject[Database | None] = None\n    x: int | None = None\n"
        "registry.register_factory(A, auto(A))\nregistry.register_value(A, A())\n",
        TDOM + "html(t'<p class={c}><{Button} /><br>{name}</p>')\nMarkup('<b>x</b>')\n",
    ],
    "test_a.py": [
        "import pytest\n@pytest.fixture\ndef db(): ...\ndef test_a(db):\n    assert db.ok\n",
        "import pytest\ndef test_a():\n    with pytest.raises(ValueError):\n        f()\n",
        "def test_a(client):\n    check_answer(client)\n",
        "def test_a(m):\n    m.assert_called_once()\n",
        "import pytest\n@pytest.mark.parametrize('x', [1])\ndef test_a(x):\n    assert x\n",
    ],
    "page.html": [
        '<!doctype html><html lang="en"><head><title>x</title></head><body><p>a<p>b<br>'
        '<ul><li>a<li>b</ul><img src="a" alt=""></body></html>',
        "{% if a %}<div>{% else %}<div class='b'>{% endif %}</div>",
        "<p id='{{ a }}'>{{ b }}</p><p id='{{ a }}'></p>",
    ],
}


@pytest.mark.parametrize(("rule", "text", "message"), FOUND)
def test_a_mistake_is_found(rule: str, text: str, message: str) -> None:
    path = "tests/test_a.py" if rule.startswith("pytest/") else "src/app.py"
    found = POLICIES[rule](Change(path=path, old=None, new=text))
    assert [one.message for one in found] == [message]
    assert {(one.rule, one.path) for one in found} == {(rule, path)}


@pytest.mark.parametrize(("rule", "text", "findings"), PAGES)
def test_a_page_is_looked_at(rule: str, text: str, findings: list[tuple[int, str]]) -> None:
    found = POLICIES[rule](Change(path="page.html", old=None, new=text))
    assert [(one.line, one.message) for one in found] == findings


@pytest.mark.parametrize(("path", "text"), [(path, text) for path in FINE for text in FINE[path]])
def test_what_is_right_is_left_alone(path: str, text: str) -> None:
    change = Change(path=path, old=None, new=text)
    assert [one for policy in POLICIES.values() for one in policy(change)] == []


@pytest.mark.parametrize(("rule", "text", "_message"), FOUND)
def test_what_was_there_before_is_not_found_again(rule: str, text: str, _message: str) -> None:
    path = "tests/test_a.py" if rule.startswith("pytest/") else "src/app.py"
    moved = Change(path=path, old=text, new="x = 1\n" + text)
    assert POLICIES[rule](moved) == []


def test_removed_tests_are_told_and_block_nothing() -> None:
    old = "def test_a():\n    assert f()\n\n\ndef test_b():\n    assert g()\n"
    change = Change(path="test_a.py", old=old, new="def test_a():\n    assert f()\n")
    (found,) = POLICIES["pytest/removed"](change)
    assert (found.message, found.blocking) == ("test_b was removed", False)


def test_every_rule_has_a_snippet_that_it_finds() -> None:
    assert set(POLICIES) == {rule for rule, *_ in (*FOUND, *PAGES)} | {"pytest/removed"}


def test_the_packs_come_by_entry_point() -> None:
    names = {point.name for point in entry_points(group=GROUP)}
    assert {"django", "fastapi", "flask", "html", "pytest", "svcs-di", "tdom-svcs"} <= names


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("text", ["", "def f(:\n", "\0", "<", "{%", "\ud800", "(" * 5000])
def test_no_text_breaks_a_policy(policy: Policy, text: str) -> None:
    for path in ("a.py", "test_a.py", "a.html"):
        policy(Change(path=path, old=text, new=text + "\n"))
