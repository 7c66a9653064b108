"""Checks every server that the environment names before any use, and names the remedy.

Each finding is one sentence; `variable` is the one to set or to correct. Nothing is written anywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from signals.clients import kafka
from signals.clients.diagnosis import ConnectionFault, Variables
from signals.clients.kafka import api_versions, broker_faults
from signals.clients.kafka.connection import TOPICS, describe_cluster
from signals.clients.llm import ModelRefused, ModelUnavailable, list_models
from signals.clients.opensearch import connection as opensearch
from signals.clients.opensearch.index import field_at_fault, is_outdated
from signals.clients.postgres import open_pool, transaction
from signals.clients.postgres_faults import VARIABLES as POSTGRES_VARIABLES
from signals.domain.operations.findings import PreflightCheck, PreflightFinding, bad, good
from signals.errors import DependencyUnavailable, SettingsError
from signals.settings import (
    KafkaSettings,
    ModelSettings,
    OpenSearchSettings,
    PostgresSettings,
    variables,
)
from signals.store.operations import schema
from signals.store.operations.server_facts import server_facts

MIN_POSTGRES: Final = 140_000  # what the migrations and the tests need
MIN_OPENSEARCH: Final = (2, 7)  # the first with `flat_object`, which the mapping has
MODELS_NAMED: Final = 8
PREPARE: Final = "run `signals prepare`"
REASONS: Final = {
    ConnectionFault.UNTRUSTED: "CertificateUntrusted",
    ConnectionFault.WRONG_NAME: "CertificateForOtherHost",
    ConnectionFault.EXPIRED: "CertificateExpired",
    ConnectionFault.NOT_TLS: "NoTLS",
    ConnectionFault.TLS_WANTED: "TLSWanted",
    ConnectionFault.LOGIN: "LoginRefused",
    ConnectionFault.FORBIDDEN: "NotAllowed",
    ConnectionFault.UNREACHABLE: "Unreachable",
}


def preflight() -> list[PreflightFinding]:
    """Check everything, side by side; a server that cannot be asked is a finding, not an exception."""
    checks = (_postgres, _kafka, _opensearch, _model)
    with ThreadPoolExecutor(len(checks), thread_name_prefix="preflight") as threads:
        return [finding for found in threads.map(lambda check: check(), checks) for finding in found]


def _postgres() -> list[PreflightFinding]:
    def ask() -> list[PreflightFinding]:
        with open_pool(PostgresSettings.from_env(), size=1) as pool, transaction(pool) as connection:
            facts = server_facts(connection)
            pending, unknown = schema.compare(connection)
        return [
            _database(facts.version, may_create=facts.may_create or not pending),
            _schema(pending, unknown),
        ]

    return _asked("postgres", "schema", ask, POSTGRES_VARIABLES)


def _database(version: int, *, may_create: bool) -> PreflightFinding:
    name = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    at = "DATABASE_URL"
    if version < MIN_POSTGRES:
        return bad("postgres", "TooOld", f"{name} is too old: point {at} to 14 or newer", at)
    if not may_create:
        wish = f"let the user of {at} create schemas and tables (GRANT CREATE ON DATABASE)"
        return bad("postgres", "NotAllowed", f"the schema is to be changed: {wish}", at)
    return good("postgres", "Reachable", f"{name} lets us in")


def _schema(pending: Sequence[str], unknown: Sequence[str]) -> PreflightFinding:
    if unknown:
        text = f"the schema is newer than this release ({', '.join(unknown)}): use the release that made it"
        return bad("schema", "Newer", text)
    if pending:
        return bad("schema", "Pending", f"{len(pending)} migrations are not applied: {PREPARE}")
    return good("schema", "UpToDate", "the schema is up to date")


def _kafka() -> list[PreflightFinding]:
    def ask() -> list[PreflightFinding]:
        settings = KafkaSettings.from_env()
        cluster = describe_cluster(settings)
        brokers = _brokers(settings, cluster.brokers, api_versions.api_keys(settings))
        return [brokers, _topics(settings, cluster.topics)]

    return _asked("kafka", "topics", ask, broker_faults.VARIABLES)


def _brokers(settings: KafkaSettings, count: int, keys: frozenset[int] | None) -> PreflightFinding:
    if settings.signals_replication_factor > count:
        text = f"SIGNALS_REPLICATION_FACTOR is {settings.signals_replication_factor}, brokers are {count}"
        return bad("kafka", "TooFewBrokers", f"{text}: lower it", "SIGNALS_REPLICATION_FACTOR")
    if keys is not None and api_versions.OFFSET_DELETE not in keys:
        return bad(
            "kafka", "TooOld", "it is too old: point KAFKA_BROKERS to Kafka 2.4 or newer", "KAFKA_BROKERS"
        )
    wants_new_groups = settings.kafka_group_protocol == "consumer"
    if keys is not None and wants_new_groups and api_versions.CONSUMER_GROUP_HEARTBEAT not in keys:
        text = "these brokers do not know KAFKA_GROUP_PROTOCOL=consumer: set it to classic, or use Kafka 4"
        return bad("kafka", "TooOld", text, "KAFKA_GROUP_PROTOCOL")
    return good("kafka", "Reachable", f"{count} Kafka broker{'' if count == 1 else 's'} let us in")


def _topics(settings: KafkaSettings, topics: Mapping[str, int]) -> PreflightFinding:
    missing = [name for name in TOPICS if name not in topics]
    if missing:
        return bad("topics", "Missing", f"there is no topic {' and no topic '.join(missing)}: {PREPARE}")
    raw, wished = kafka.RAW_TOPIC, settings.signals_partitions
    if topics[raw] < wished:
        text = f"{raw} has {topics[raw]} partitions and SIGNALS_PARTITIONS is {wished}"
        return good("topics", "FewerPartitions", f"{text}: it takes effect only when the topic is created")
    return good("topics", "Ready", "all topics are there")


def _opensearch() -> list[PreflightFinding]:
    def ask() -> list[PreflightFinding]:
        with opensearch.open_client(OpenSearchSettings.from_env(), connections=1) as client:
            distribution, version = opensearch.server_version(client)
            return [_search(distribution, version), _index(client)]

    return _asked("opensearch", "index", ask, opensearch.VARIABLES)


def _search(distribution: str, version: tuple[int, int]) -> PreflightFinding:
    at = "OPENSEARCH_URL"
    name = f"{distribution} {version[0]}.{version[1]}"
    if distribution != "opensearch":
        return bad("opensearch", "NotOpenSearch", f"{name} answers: point {at} to an OpenSearch", at)
    if version < MIN_OPENSEARCH:
        return bad("opensearch", "TooOld", f"{name} is too old: point {at} to 2.7 or newer", at)
    return good("opensearch", "Reachable", f"OpenSearch {version[0]}.{version[1]} lets us in")


def _index(client: opensearch.Client) -> PreflightFinding:
    try:
        field, outdated = field_at_fault(client), is_outdated(client)
    except LookupError as error:
        return bad("index", "Missing", f"there is no index {error}: {PREPARE}")
    if field:
        text = f"another program made the events index, its field {field} is not ours: delete it, then "
        return bad("index", "Foreign", text + PREPARE)
    if outdated:
        return bad("index", "Pending", f"the events index lacks fields of this release: {PREPARE}")
    return good("index", "Ready", "the events index is there")


def _model() -> list[PreflightFinding]:
    try:
        settings = ModelSettings.from_env()
        there_are = list_models(settings)
    except SettingsError as error:
        return [bad("model", "SettingsInvalid", str(error), _named_in(str(error)))]
    except ModelRefused as error:
        return [bad("model", "Refused", str(error), error.variable)]
    except ModelUnavailable as error:
        return [bad("model", "Unavailable", f"{error}: check GRADIENT_BASE_URL", "GRADIENT_BASE_URL")]
    if there_are is None:
        return [good("model", "BuiltIn", "no GRADIENT_API_KEY is set: the built-in summarizer answers")]
    unknown = [name for name in settings.models if name not in there_are]
    if unknown:
        named = ", ".join(there_are[:MODELS_NAMED]) or "none"
        more = f" and {len(there_are) - MODELS_NAMED} more" if len(there_are) > MODELS_NAMED else ""
        text = (
            f"there is no model {' and no model '.join(unknown)}: set GRADIENT_MODEL to one of {named}{more}"
        )
        return [bad("model", "Unknown", text, "GRADIENT_MODEL")]
    return [good("model", "Served", f"{', '.join(settings.models)} can be asked")]


def _asked(
    server: PreflightCheck,
    inside: PreflightCheck,
    ask: Callable[[], list[PreflightFinding]],
    names: Variables,
) -> list[PreflightFinding]:
    """Ask a server for its two findings; when it cannot be asked, the second is that."""
    try:
        return ask()
    except SettingsError as error:
        finding = bad(server, "SettingsInvalid", str(error), _named_in(str(error)))
    except DependencyUnavailable as error:
        fault = names.fault_in(error.reason)
        reason = REASONS[fault] if fault else "Unavailable"
        finding = bad(
            server, reason, str(error), _named_in(error.reason, last=fault is ConnectionFault.LOGIN)
        )
    return [finding, bad(inside, "NotChecked", f"not checked: {server} could not be asked")]


def _named_in(sentence: str, *, last: bool = False) -> str | None:
    """Return the variable that a sentence tells to set; the last when it names a user and its password."""
    found = sorted((sentence.find(name), name) for name in variables() if name in sentence)
    return found[-1 if last else 0][1] if found else None
