"""What ``lanekeeper placement`` reads beside the rest: a placement.conf as operators have it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lanekeeper.config.option import Option, Section
from lanekeeper.config.value import one_of

NOBODY = "00000000-0000-0000-0000-000000000000"
"""Source: placement ``conf/placement.py``, DEFAULT_CONSUMER_MISSING_ID."""


class Placement(Section, frozen=True):
    """What Placement's face does, and how ``lanekeeper placement`` knows who asks."""

    auth_strategy: Annotated[
        str,
        Option(
            "api",
            "auth_strategy",
            "How lanekeeper placement knows who asks: keystone, by the outside Keystone of "
            "[keystone_authtoken]; noauth2, by what the token says, on loopback only.",
            old=(("DEFAULT", "auth_strategy"),),
            parse=one_of("keystone", "noauth2"),
            at_start=True,
        ),
    ] = "keystone"
    connection: Annotated[
        str,
        Option(
            "placement_database",
            "connection",
            "URL of lanekeeper placement's database where no option of the command names one.",
            at_start=True,
        ),
    ] = ""
    sync_on_startup: Annotated[
        bool,
        Option("placement_database", "sync_on_startup", "Read; tables are always kept in step."),
    ] = False
    randomize_allocation_candidates: Annotated[
        bool,
        Option(
            "placement",
            "randomize_allocation_candidates",
            "Whether a limit picks candidates by chance instead of the first ones.",
        ),
    ] = False
    max_allocation_candidates: Annotated[
        int,
        Meta(ge=-1, le=2**31 - 1),
        Option(
            "placement",
            "max_allocation_candidates",
            "Most candidates that are made for one request; -1 for 100,000, the most there is.",
        ),
    ] = -1
    allocation_candidates_generation_strategy: Annotated[
        str,
        Option(
            "placement",
            "allocation_candidates_generation_strategy",
            "In which order candidates are made: depth-first, one tree after the other, or "
            "breadth-first, one of each tree in turn.",
            parse=one_of("depth-first", "breadth-first"),
        ),
    ] = "depth-first"
    allocation_conflict_retry_count: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        Option(
            "placement",
            "allocation_conflict_retry_count",
            "Read; claims wait for each other instead of trying again.",
        ),
    ] = 10
    incomplete_consumer_project_id: Annotated[
        str,
        Option(
            "placement",
            "incomplete_consumer_project_id",
            "Project of a consumer that came with none, which clients before 1.8 may do.",
        ),
    ] = NOBODY
    incomplete_consumer_user_id: Annotated[
        str,
        Option("placement", "incomplete_consumer_user_id", "User of such a consumer."),
    ] = NOBODY
    optimize_for_wide_provider_trees: Annotated[
        bool,
        Option(
            "workarounds", "optimize_for_wide_provider_trees", "Read; wide trees need no switch."
        ),
    ] = False
    enforce_new_defaults: Annotated[
        bool,
        Option(
            "oslo_policy",
            "enforce_new_defaults",
            "Whether Placement's rules are those of the roles service and reader alone, without "
            "the older ones beside them that let an admin do everything.",
            at_start=True,
        ),
    ] = True


class Keystone(Section, frozen=True):
    """The Keystone that knows the tokens, where auth_strategy is keystone."""

    auth_url: Annotated[
        str, Option("keystone_authtoken", "auth_url", "Where it is: http://HOST:5000/v3.")
    ] = ""
    www_authenticate_uri: Annotated[
        str,
        Option(
            "keystone_authtoken",
            "www_authenticate_uri",
            "Where clients without a token are sent; auth_url where unset.",
            old=(("keystone_authtoken", "auth_uri"),),
        ),
    ] = ""
    auth_type: Annotated[
        str,
        Option(
            "keystone_authtoken",
            "auth_type",
            "How this service itself logs in: password or v3applicationcredential.",
            old=(("keystone_authtoken", "auth_plugin"),),
            parse=one_of("password", "v3password", "v3applicationcredential"),
        ),
    ] = "password"
    username: Annotated[
        str,
        Option(
            "keystone_authtoken",
            "username",
            "The service's user.",
            also=(("keystone_authtoken", "user_name"),),
        ),
    ] = ""
    password: Annotated[str, Option("keystone_authtoken", "password", "Its password.")] = ""
    user_domain_name: Annotated[
        str, Option("keystone_authtoken", "user_domain_name", "The user's domain.")
    ] = ""
    user_domain_id: Annotated[
        str, Option("keystone_authtoken", "user_domain_id", "The same by id.")
    ] = ""
    project_name: Annotated[
        str,
        Option(
            "keystone_authtoken",
            "project_name",
            "The project of its token.",
            also=(("keystone_authtoken", "tenant_name"),),
        ),
    ] = ""
    project_domain_name: Annotated[
        str, Option("keystone_authtoken", "project_domain_name", "The project's domain.")
    ] = ""
    project_domain_id: Annotated[
        str, Option("keystone_authtoken", "project_domain_id", "The same by id.")
    ] = ""
    application_credential_id: Annotated[
        str,
        Option("keystone_authtoken", "application_credential_id", "In place of user and password."),
    ] = ""
    application_credential_secret: Annotated[
        str, Option("keystone_authtoken", "application_credential_secret", "Its secret.")
    ] = ""
    cafile: Annotated[
        str,
        Option(
            "keystone_authtoken",
            "cafile",
            "Certificate authorities that Keystone's certificate is checked by; the system's where "
            "unset.",
        ),
    ] = ""
    insecure: Annotated[
        bool, Option("keystone_authtoken", "insecure", "Do not check its certificate.")
    ] = False
    http_connect_timeout: Annotated[
        float,
        Meta(gt=0, le=600),
        Option("keystone_authtoken", "http_connect_timeout", "Seconds to wait for an answer."),
    ] = 10.0
    token_cache_time: Annotated[
        int,
        Meta(ge=-1, le=86_400),
        Option(
            "keystone_authtoken",
            "token_cache_time",
            "Seconds for which a token that was found valid is not asked about again; -1 asks "
            "each time.",
        ),
    ] = 300


class Cors(Section, frozen=True):
    """Which other sites' pages may ask ``lanekeeper placement`` from a browser."""

    allowed_origin: Annotated[
        tuple[str, ...],
        Option("cors", "allowed_origin", "Origins such as https://horizon.example; * is any."),
    ] = ()
    allow_credentials: Annotated[
        bool, Option("cors", "allow_credentials", "Whether they may send cookies.")
    ] = True
    expose_headers: Annotated[
        tuple[str, ...], Option("cors", "expose_headers", "Headers of answers that they may read.")
    ] = ()
    max_age: Annotated[
        int, Meta(ge=0, le=86_400 * 365), Option("cors", "max_age", "Seconds they may remember it.")
    ] = 3600
    allow_methods: Annotated[
        tuple[str, ...], Option("cors", "allow_methods", "Methods that they may use.")
    ] = ("OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH")
    allow_headers: Annotated[
        tuple[str, ...], Option("cors", "allow_headers", "Headers that they may send.")
    ] = ()
