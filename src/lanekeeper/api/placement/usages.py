"""``/usages``: what a project holds, added up."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.placement.schema import NAME_PATTERN, OWNER, Form, record, text
from lanekeeper.api.placement.views import at_least, check_query, fresh, last, rule
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.usage import project_usage

_TYPE_SINCE = 38
_WHOSE = {"project_id": OWNER, "user_id": OWNER}
_TYPE = {"consumer_type": text(1, 255, f"{NAME_PATTERN}|^all$|^unknown$")}
_PLAIN = Form(record(_WHOSE, required=["project_id"]))
_TYPED = Form(record({**_WHOSE, **_TYPE}, required=["project_id"]))
_RULE = rule("usages", "rule:admin_or_project_reader_or_service_api")


def index(call: Call[bytes]) -> Reply:
    """Add up what a project (or one of its users) holds."""
    call.demand(_RULE, project_id=last(call).get("project_id"))
    typed = at_least(call, _TYPE_SINCE)
    asked = check_query(call, _TYPED if typed else _PLAIN)
    usage = project_usage(call.site, asked["project_id"], asked.get("user_id"))
    if not typed:
        return fresh(call, {"usages": usage.total()})
    wanted = asked.get("consumer_type")
    if wanted == "all":
        together = {"all": usage.total() | {"consumer_count": usage.count()}}
        return fresh(call, {"usages": together if usage.lines else {}})
    kinds = [kind for kind in usage.kinds() if wanted in (None, kind)]
    by_kind = {kind: usage.total(kind) | {"consumer_count": usage.count(kind)} for kind in kinds}
    return fresh(call, {"usages": by_kind})


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/usages", handler=index, asks=(_RULE,), since="1.9"),
)
