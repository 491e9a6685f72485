"""Turns Django routes into the same with values for their parameters, read from the app's models by its own ORM."""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

VALUES_MAX = 200
ROWS_MAX = 1_000_000  # of a table larger than that, the keys are drawn from its beginning
LOOKUPS = ("pk", "id", "slug", "uuid")
_SUFFIX = re.compile(r"_(?:id|pk|slug|uuid|key|name|username)$")


def add(routes: "list[dict[str, Any]]") -> None:
    """Adds `values` to each parameter whose model is found; what fails is left as it was, with a word in `why`."""
    from prony_gauge.routes import module

    models = [
        model for model in module("django.apps").apps.get_models() if not model._meta.abstract and not model._meta.proxy
    ]
    known = {}
    for route in routes:
        open_ = {name: param for name, param in route["params"].items() if not param.get("choices")}
        if not open_ or "GET" not in route["methods"] or {"admin", "debug", "static"} & set(route["marks"]):
            continue
        view = _view_model(route.get("callback"))
        for name, param in open_.items():
            found = _field(route, name, param["kind"], view, models)
            if found is None:
                continue
            key = (found[0]._meta.label, found[1])
            if key not in known:
                try:
                    known[key] = spread(*found)
                except Exception as error:
                    known[key] = []
                    param["why"] = "%s: %s" % (type(error).__name__, error)
            param["values"], param["model"] = known[key], "%s.%s" % key
        _together(route, view)


def _together(route: "dict[str, Any]", model: "Optional[Any]") -> None:
    """Two parameters of one model (a year and a slug) belong together; noted, so that they are not mixed."""
    labels = {param.get("model", "").rpartition(".")[0] for param in route["params"].values()}
    if len(route["params"]) > 1 and len(labels) == 1 and model is not None and labels != {""}:
        names = list(route["params"])
        fields = [route["params"][name]["model"].rpartition(".")[2] for name in names]
        try:
            rows = list(model._default_manager.order_by("pk").values_list(*fields)[:VALUES_MAX])
        except Exception:
            return
        route["rows"] = [dict(zip(names, map(str, row))) for row in rows]  # noqa: B905 - Python 3.9 has no strict


def _view_model(view: "Any") -> "Optional[Any]":
    """The model that a view says it shows: by its class's model or queryset, or its serializer's."""
    made = getattr(view, "view_class", None) or getattr(view, "cls", None)
    given = dict(getattr(made, "__dict__", {}), **getattr(view, "view_initkwargs", None) or {})
    for name in ("model", "queryset"):
        value = given.get(name, getattr(made, name, None))
        model = getattr(value, "model", value)
        if hasattr(model, "_meta"):
            return model
    meta = getattr(getattr(made, "serializer_class", None), "Meta", None)
    return getattr(meta, "model", None)


def _field(
    route: "dict[str, Any]", name: str, kind: str, view: "Optional[Any]", models: "list[Any]"
) -> "Optional[tuple[Any, str]]":
    """(model, field) that a parameter is most likely looked up by."""
    made = getattr(route.get("callback"), "view_class", None) or getattr(route.get("callback"), "cls", None)
    lookup = getattr(made, "lookup_field", None) or getattr(made, "slug_field", None)
    owner = _SUFFIX.sub("", name)
    candidates = []
    if view is not None and (owner == name or _same(owner, view)):
        candidates.append(view)
    words = [word for word in re.split(r"[^a-z0-9]+", route["template"].partition("{%s}" % name)[0].lower()) if word]
    if owner != name:
        candidates += [model for model in models if _same(owner, model)]
    for word in (*reversed(words), *re.split(r"[^a-z0-9]+", route["name"].lower())):
        candidates += [model for model in models if _same(word, model)]
    for model in candidates:
        field = _lookup(model, name, kind, lookup if model is view else None)
        if field:
            return model, field
    return None


def _same(word: str, model: "Any") -> bool:
    """Whether a word of a path names a model: "products", "product", "categories"."""
    name = model._meta.model_name
    plural = str(model._meta.verbose_name_plural).lower().replace(" ", "")
    word = word.replace("_", "").replace("-", "")
    return bool(word) and word in {name, name + "s", name + "es", plural, re.sub("y$", "ies", name)}


def _lookup(model: "Any", name: str, kind: str, lookup: "Optional[str]") -> str:
    """The field of a model that a parameter of that name and kind is compared with."""
    fields = {field.name: field for field in model._meta.get_fields() if getattr(field, "concrete", False)}
    short = name.rpartition("_")[2]
    for wanted in (lookup, name, short):
        if wanted == "pk" or (wanted in fields and not fields[wanted].is_relation):
            return str(wanted)
    if kind == "slug" or short in ("slug", "key"):
        return next((n for n, field in fields.items() if type(field).__name__ == "SlugField"), "")
    if kind == "uuid" or short == "uuid":
        return next((n for n, field in fields.items() if type(field).__name__ == "UUIDField"), "")
    if short in ("id", "pk", "") or kind == "int":
        return "pk"
    unique = [n for n, field in fields.items() if getattr(field, "unique", False) and not field.is_relation]
    return next((n for n in unique if n not in ("id", model._meta.pk.name)), "") or ("pk" if kind == "str" else "")


def spread(model: "Any", field: str) -> "list[str]":
    """At most VALUES_MAX of a field's values, from all over the table."""
    rows = model._default_manager.order_by("pk").values_list(field, flat=True)
    count = min(rows.count(), ROWS_MAX)
    if count <= 4 * VALUES_MAX:
        found = [each for each in rows[:count] if each not in (None, "")]
        step = max(1, len(found) // VALUES_MAX)
        return list(map(str, found[::step][:VALUES_MAX]))
    keys = list(model._default_manager.order_by("pk").values_list("pk", flat=True)[:count])
    chosen = [keys[at * count // VALUES_MAX] for at in range(VALUES_MAX)]
    found = model._default_manager.filter(pk__in=chosen).values_list(field, flat=True)
    return [str(each) for each in found if each not in (None, "")]
