"""Every table: columns, types, keys and what they mean. DDL, frames and docs derive from it.

In the order of the flow. A table that is like another one is its ``variant`` and says only what
differs, so that a column added to ``RESPONSES`` is in the responses of policies, too.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from autoif_assets.warehouse.schema import Column, ForeignKey, Table

BATCH = Column("batch", "VARCHAR", "Partition key of the batch that made the row.")
STATUS = (
    Column(
        "status",
        "VARCHAR",
        "accepted or rejected; the next stage reads accepted rows.",
        values=("accepted", "rejected"),
    ),
    Column("reason", "VARCHAR", "Why the row was rejected, machine readable.", nullable=True),
)
CALL_ID = Column("call_id", "VARCHAR", "Model call that made the row; key of llm_calls.")
HANDED_IN = replace(
    CALL_ID, nullable=True, description="Model call that made the row; null: people handed it in."
)
CHECKS = (
    Column(
        "verifier",
        "VARCHAR",
        "Verifiers that people hand in for it: a JSON list of Python sources.",
        nullable=True,
    ),
    Column(
        "cases",
        "VARCHAR",
        "Test cases that people hand in for it: a JSON list of input, output and perhaps query.",
        nullable=True,
    ),
)
INSTRUCTION_ID = Column("instruction_id", "VARCHAR", "Content id of the instruction.")
INSTRUCTION = Column("instruction", "VARCHAR", "Text of the instruction.")
CATEGORY = Column("category", "VARCHAR", "Category of the constraint.", nullable=True)
VERIFIER_ID = Column("verifier_id", "VARCHAR", "Content id of the verifier function.")
LINE = Column("line", "BIGINT", "Line or record in that file, from 1.")
PROMPT_ID = Column("prompt_id", "VARCHAR", "Content id of the augmented query.")
QUERY_ID = Column("query_id", "VARCHAR", "Content id of the user query.")
QUERY = Column("query", "VARCHAR", "Text of the user query.")
CONTEXT = Column(
    "context",
    "VARCHAR",
    "What was said before the query, as JSON messages; null where it stands alone.",
    nullable=True,
)
PROMPT = Column("prompt", "VARCHAR", "Query and instruction joined.")
RESPONSE_ID = Column("response_id", "VARCHAR", "Content id of the response.")
PASS_RATE = Column("pass_rate", "DOUBLE", "Share of the verdicts on the response that are pass.")
SAMPLE = Column("sample", "BIGINT", "Number of the completion in its call, from 0.")
RAW = Column("raw", "VARCHAR", "The model's text as it came.", nullable=True)
FINISH_REASON = Column(
    "finish_reason", "VARCHAR", "Why the server ended the completion.", nullable=True
)
MODEL = Column("model", "VARCHAR", "Name of the served model.")
DETAIL = Column("detail", "VARCHAR", "What went wrong, in words.", nullable=True)
EXAMPLE_ID = Column("example_id", "VARCHAR", "Content id of the example.")
PAIR_ID = Column("pair_id", "VARCHAR", "Content id of the pair.")
OUTCOMES = "STRUCT(verifier_id VARCHAR, outcome VARCHAR)[]"
ROLES = "STRUCT(role VARCHAR, model VARCHAR, base_url VARCHAR, settings VARCHAR)[]"

PAIR = (
    Column("chosen", "VARCHAR", "The preferred text."),
    Column("rejected", "VARCHAR", "The dispreferred text."),
    Column("chosen_id", "VARCHAR", "Id of the test case or response that is chosen."),
    Column("rejected_id", "VARCHAR", "Id of the test case or response that is rejected."),
    Column("chosen_pass_rate", "DOUBLE", "Share of the verdicts on chosen that are pass."),
    Column("rejected_pass_rate", "DOUBLE", "Share of the verdicts on rejected that are pass."),
    Column("chosen_score", "DOUBLE", "Quality of chosen from 0 to 10, if it was scored.", True),
    Column("rejected_score", "DOUBLE", "Quality of rejected from 0 to 10, if it was scored.", True),
    Column("chosen_length", "BIGINT", "Characters of chosen."),
    Column("rejected_length", "BIGINT", "Characters of rejected."),
    Column("failed_verifiers", "VARCHAR[]", "Ids of the verifiers that said no to rejected."),
    Column("margin", "DOUBLE", "chosen_pass_rate - rejected_pass_rate."),
    Column(
        "constrains_length",
        "BOOLEAN",
        "Whether the instruction is about length; if not, lengths were evened out.",
    ),
    Column(
        "origin",
        "VARCHAR",
        "Where the pair comes from: test cases, sampled responses, a near miss or a further sample "
        "among them.",
        values=("test_case", "sampled", "near_miss", "further"),
    ),
)

FURTHER_ORIGIN = Column(
    "origin",
    "VARCHAR",
    "near_miss: asked to break the instruction; further: one more sample.",
    values=("near_miss", "further"),
)
ORIGIN = Column(
    "origin",
    "VARCHAR",
    "sampled: of the first responses; near_miss or further: of further_responses.",
    values=("sampled", "near_miss", "further"),
)

POLICY = Column("policy", "VARCHAR", "Partition key of the policy that was sampled.")
SPLIT = Column(
    "split",
    "VARCHAR",
    "Pairs are made of train, the scorecard of eval; neither: instruction and query differ.",
    values=("train", "eval", "neither"),
)


def _in_batch(table: str, column: str, to: str = "", or_table: str | None = None) -> ForeignKey:
    """Return the key of a column that names a row of the same batch in ``table``."""
    return ForeignKey(("batch", column), table, ("batch", to or column), or_table)


def _of_policy(table: str, column: str, to: str = "") -> ForeignKey:
    """Return the key of a column that names a row of the same batch and policy in ``table``."""
    return ForeignKey(("batch", "policy", column), table, ("batch", "policy", to or column))


_CALL = _in_batch("llm_calls", "call_id")


# The user's files.

SEED_INSTRUCTIONS = Table(
    "seed_instructions",
    "A hand-written instruction the self-play starts from.",
    "3.2",
    (
        INSTRUCTION_ID,
        INSTRUCTION,
        CATEGORY,
        *CHECKS,
        Column("source", "VARCHAR", "File the seed was read from."),
        LINE,
        *STATUS,
    ),
    key=("source", "line"),
    partitions=(),
)

SEED_QUERIES = Table(
    "seed_queries",
    "A user query that instructions are joined to.",
    "3.3",
    (
        QUERY_ID,
        QUERY,
        CONTEXT,
        Column("source", "VARCHAR", "File the query was read from."),
        LINE,
        *STATUS,
    ),
    key=("source", "line"),
    partitions=(),
    rule="Queries longer than 20 and shorter than 300 characters.",
)

# Instructions and the functions that verify them.

AUGMENTED_INSTRUCTIONS = Table(
    "augmented_instructions",
    "An instruction of this batch: a seed it carries or a rewrite of the seeds.",
    "3.2, App. C",
    (
        BATCH,
        INSTRUCTION_ID,
        INSTRUCTION,
        CATEGORY,
        Column("origin", "VARCHAR", "seed or self_instruct.", values=("seed", "self_instruct")),
        Column("call_id", "VARCHAR", "Model call that wrote it; null for seeds.", True),
        Column("sample", "BIGINT", "Number of the completion in its call, from 0.", True),
        Column("position", "BIGINT", "Place among the batch's candidates, from 0."),
        *STATUS,
    ),
    key=("batch", "position"),
    foreign_keys=(_CALL,),
    origins=(
        ("instruction_id", "seed_instructions.instruction_id"),
        ("instruction", "seed_instructions.instruction"),
        ("category", "seed_instructions.category"),
    ),
    rule="100 rewrites of the seeds, each a new one.",
)

CASE_ORIGIN = Column(
    "origin",
    "VARCHAR",
    "function: came with one; boundary: asked for close to the line; user: people handed it in.",
    values=("function", "boundary", "user"),
)

VERIFIER_CANDIDATES = Table(
    "verifier_candidates",
    "A completion that should hold a verifier function for an instruction, or a function that "
    "people handed in.",
    "3.2",
    (
        BATCH,
        INSTRUCTION_ID,
        Column(
            "origin",
            "VARCHAR",
            "sampled: of a completion; user: handed in with the seed, whose instruction is asked "
            "for none.",
            values=("sampled", "user"),
        ),
        SAMPLE,
        Column("verifier_id", "VARCHAR", "Content id of the function, if one parsed.", True),
        Column("source", "VARCHAR", "Python source of the function, if one parsed.", True),
        RAW,
        FINISH_REASON,
        HANDED_IN,
        *STATUS,
        DETAIL,
    ),
    key=("batch", "instruction_id", "sample"),
    foreign_keys=(
        _in_batch("augmented_instructions", "instruction_id"),
        _CALL,
    ),
    origins=(
        ("source", "augmented_instructions.instruction"),
        ("source", "seed_instructions.verifier"),
    ),
    rule="8 completions an instruction, each with one function.",
)

TEST_CASES = Table(
    "test_cases",
    "An input with the verdict its author expects of a right verifier.",
    "3.2",
    (
        BATCH,
        INSTRUCTION_ID,
        CASE_ORIGIN,
        SAMPLE,
        Column("position", "BIGINT", "Place of the case in its completion, from 0."),
        Column("case_id", "VARCHAR", "Content id of the case, if it parsed.", True),
        Column("input", "VARCHAR", "Text to verify, if it parsed.", True),
        Column("query", "VARCHAR", "Query that the text answers, if it needs one.", True),
        Column("expected", "BOOLEAN", "Whether the text follows the instruction.", True),
        HANDED_IN,
        *STATUS,
        DETAIL,
    ),
    key=("batch", "instruction_id", "origin", "sample", "position"),
    foreign_keys=(
        _in_batch("augmented_instructions", "instruction_id"),
        _CALL,
    ),
    origins=(
        ("input", "augmented_instructions.instruction"),
        ("query", "augmented_instructions.instruction"),
        ("expected", "augmented_instructions.instruction"),
        *((name, "seed_instructions.cases") for name in ("input", "query", "expected")),
    ),
    rule="Three with each function.",
)

PROBE_TEXTS = Table(
    "probe_texts",
    "A text that verifiers are tried on beside their own cases.",
    "",
    (
        BATCH,
        Column("position", "BIGINT", "Number of the row in its batch, from 0."),
        Column(
            "probe_id", "VARCHAR", "Content id of the text; a case's is that of the case.", True
        ),
        replace(
            INSTRUCTION_ID, nullable=True, description="Instruction it was written for, if any."
        ),
        Column(
            "kind",
            "VARCHAR",
            "obeying, breaking: written to obey the instruction, or to break it; case: input of a "
            "test case; edge: empty, blank, Markdown and the like, written by nobody.",
            values=("obeying", "breaking", "case", "edge"),
        ),
        Column("input", "VARCHAR", "The text.", True),
        Column(
            "place",
            "BIGINT",
            "Its bit in verdict_matrix, from 0; null: only its own instruction is tried on it.",
            True,
        ),
        Column("sample", "BIGINT", "Number of the completion in its call, from 0.", True),
        FINISH_REASON,
        Column("call_id", "VARCHAR", "Model call that wrote it, if one did.", True),
        *STATUS,
    ),
    key=("batch", "position"),
    foreign_keys=(_in_batch("augmented_instructions", "instruction_id"), _CALL),
    origins=(
        ("input", "augmented_instructions.instruction"),
        ("input", "seed_queries.query"),
        ("input", "test_cases.input"),
    ),
    charts=(("input", "length"),),
)

VERIFIER_REPAIRS = Table(
    "verifier_repairs",
    "A completion that should hold a verifier function mended after it failed.",
    "",
    (
        BATCH,
        Column("round", "BIGINT", "Round of repair, from 1."),
        Column("parent_id", "VARCHAR", "Id of the function that failed."),
        *(
            CALL_ID if column is HANDED_IN else column
            for column in VERIFIER_CANDIDATES.columns
            if column.name not in ("batch", "origin")
        ),
    ),
    key=("batch", "round", "parent_id"),
    foreign_keys=(_in_batch("augmented_instructions", "instruction_id"), _CALL),
    origins=(
        ("source", "verifier_candidates.source"),
        ("source", "augmented_instructions.instruction"),
        ("source", "test_cases.input"),
    ),
)

AUDITOR_ANSWERS = Table(
    "auditor_answers",
    "A text on which verifiers differ, and whether the auditor says that it obeys.",
    "",
    (
        BATCH,
        INSTRUCTION_ID,
        Column("input_id", "VARCHAR", "Id of the test case or probe text."),
        Column("input", "VARCHAR", "The text."),
        Column("passing", "DOUBLE", "Share of the votes that say it obeys."),
        Column("failing", "DOUBLE", "Share of the votes that say it does not."),
        Column("obeys", "BOOLEAN", "What the auditor says, if it could be read.", True),
        Column(
            "obeys_probability",
            "DOUBLE",
            "How likely the auditor finds it that it obeys, where the server tells.",
            nullable=True,
        ),
        RAW,
        FINISH_REASON,
        CALL_ID,
        *STATUS,
    ),
    key=("batch", "instruction_id", "input_id"),
    foreign_keys=(_in_batch("augmented_instructions", "instruction_id"), _CALL),
    origins=(
        ("input", "test_cases.input"),
        ("input", "probe_texts.input"),
        ("passing", "verifier_candidates.source"),
        ("failing", "verifier_candidates.source"),
    ),
)

SOURCE = Column("source", "VARCHAR", "Python source of the function.")
VERIFIER_ORIGIN = Column(
    "origin",
    "VARCHAR",
    "sampled: of verifier_candidates; repair: of verifier_repairs; user: handed in with the seed.",
    values=("sampled", "repair", "user"),
)
SAMPLES = Column("samples", "BIGINT", "Completions that wrote it.")
_BY_LABEL = ("accuracy_true", "accuracy_false")
ACCURACY = (
    Column("accuracy", "DOUBLE", "agreed / cases.", nullable=True),
    Column("accuracy_true", "DOUBLE", "The same of the cases that are to pass.", nullable=True),
    Column("accuracy_false", "DOUBLE", "The same of those that are to fail.", nullable=True),
    Column(
        "sibling_agreement",
        "DOUBLE",
        "Share of the texts written for its instruction on which it says what two thirds of the "
        "votes do; null where these are clear on none.",
        nullable=True,
    ),
)

VERIFIERS = Table(
    "verifiers",
    "A distinct verifier function and how it fared in cross-validation.",
    "3.2",
    (
        BATCH,
        VERIFIER_ID,
        INSTRUCTION_ID,
        SOURCE,
        VERIFIER_ORIGIN,
        Column("parent_id", "VARCHAR", "The function that it was mended from, if any.", True),
        SAMPLES,
        Column("cases", "BIGINT", "Surviving test cases it was run on."),
        Column("agreed", "BIGINT", "Of these, how many it agreed with."),
        *ACCURACY,
        *STATUS,
        DETAIL,
    ),
    key=("batch", "verifier_id"),
    foreign_keys=(
        _in_batch("verifier_candidates", "verifier_id", or_table="verifier_repairs"),
        _in_batch("augmented_instructions", "instruction_id"),
    ),
    origins=(
        ("source", "verifier_candidates.source"),
        ("source", "verifier_repairs.source"),
        ("samples", "verifier_candidates.verifier_id"),
        ("parent_id", "verifier_repairs.parent_id"),
        ("sibling_agreement", "probe_texts.input"),
        ("cases", "test_cases.case_id"),
        ("agreed", "test_cases.expected"),
        *((name, "test_cases.expected") for name in ("accuracy", *_BY_LABEL)),
    ),
    charts=(("accuracy", "share"),),
    rule="A function agrees with more than half of the surviving cases.",
)

VERIFIER_CASES = Table(
    "verifier_cases",
    "A distinct test case and how many verifiers agreed with it.",
    "3.2",
    (
        BATCH,
        Column("case_id", "VARCHAR", "Content id of the test case."),
        INSTRUCTION_ID,
        Column("input", "VARCHAR", "Text to verify."),
        Column("query", "VARCHAR", "Query that the text answers, if it needs one.", True),
        Column("expected", "BOOLEAN", "Whether the text follows the instruction."),
        replace(
            CASE_ORIGIN,
            description=f"{CASE_ORIGIN.description[:-1]}; probe: a probe text on whose label the "
            "majority and the auditor agree.",
            values=(*CASE_ORIGIN.values, "probe"),
        ),
        Column("functions", "BIGINT", "Distinct functions that were run on it."),
        Column("agreed", "BIGINT", "Of these, how many returned the expected verdict."),
        Column("agreement", "DOUBLE", "Share of the votes that are for it.", nullable=True),
        Column("outcomes", OUTCOMES, "What each function returned on the input."),
        *STATUS,
    ),
    key=("batch", "case_id"),
    foreign_keys=(_in_batch("augmented_instructions", "instruction_id"),),
    origins=(
        ("input", "test_cases.input"),
        ("input", "auditor_answers.input"),
        ("query", "test_cases.query"),
        ("expected", "test_cases.expected"),
        ("expected", "auditor_answers.obeys"),
        ("functions", "verifier_candidates.verifier_id"),
        ("agreed", "verifier_candidates.source"),
        ("agreement", "verifier_candidates.source"),
        ("outcomes", "verifier_candidates.source"),
    ),
    charts=(("agreement", "share"),),
    rule="A case agrees with more than half of the functions.",
)

NLI_LABEL = Column(
    "nli_label",
    "VARCHAR",
    "entailment, neutral or contradiction.",
    nullable=True,
    values=("entailment", "neutral", "contradiction"),
)

BACK_TRANSLATIONS = Table(
    "back_translations",
    "A verifier put back into words, and whether the words contradict the instruction.",
    "3.2",
    (
        BATCH,
        VERIFIER_ID,
        INSTRUCTION_ID,
        Column("back_translation", "VARCHAR", "The function in words, if parsed.", True),
        RAW,
        FINISH_REASON,
        CALL_ID,
        NLI_LABEL,
        Column("nli_by", "VARCHAR", "supervision or the name of the NLI model.", True),
        Column("nli_raw", "VARCHAR", "The label's raw text or scores.", True),
        Column("nli_call_id", "VARCHAR", "Model call that labelled it, if one did.", True),
        *STATUS,
    ),
    key=("batch", "verifier_id"),
    foreign_keys=(
        _in_batch("verifiers", "verifier_id"),
        _CALL,
        _in_batch("llm_calls", "nli_call_id", "call_id"),
    ),
    origins=(
        ("back_translation", "verifiers.source"),
        ("nli_label", "augmented_instructions.instruction"),
    ),
    rule="NLI of the instruction and the function's words: entailment, neutral or contradiction.",
)

VERIFIER_AUDITS = Table(
    "verifier_audits",
    "A verifier that passed cross-validation, what else is known of it, and whether it is in use.",
    "3.2",
    (
        BATCH,
        VERIFIER_ID,
        INSTRUCTION_ID,
        SOURCE,
        VERIFIER_ORIGIN,
        SAMPLES,
        *ACCURACY,
        Column("mutants", "BIGINT", "Slightly changed copies that were made of it."),
        Column("told_apart", "BIGINT", "Of these, how many a surviving case tells from it."),
        Column("fragile_probes", "BIGINT", "Edge texts on which it gives no verdict."),
        Column("answers", "BIGINT", "Texts that the auditor judged and it was run on."),
        Column("answers_agreed", "BIGINT", "Of these, on how many it says what the auditor says."),
        NLI_LABEL,
        *STATUS,
    ),
    key=("batch", "verifier_id"),
    foreign_keys=(
        _in_batch("verifiers", "verifier_id"),
        _in_batch("augmented_instructions", "instruction_id"),
    ),
    origins=(
        ("source", "verifiers.source"),
        *(
            (column.name, f"verifiers.{column.name}")
            for column in (VERIFIER_ORIGIN, SAMPLES, *ACCURACY)
        ),
        ("mutants", "verifiers.source"),
        ("told_apart", "verifier_cases.input"),
        ("fragile_probes", "probe_texts.input"),
        ("answers", "auditor_answers.obeys"),
        ("answers_agreed", "auditor_answers.obeys"),
        ("nli_label", "back_translations.nli_label"),
    ),
    charts=(("sibling_agreement", "share"),),
)

VERDICT_MATRIX = Table(
    "verdict_matrix",
    "What the verifiers in use of an instruction say of each probe text of the batch.",
    "",
    (
        BATCH,
        INSTRUCTION_ID,
        Column("texts", "BIGINT", "Probe texts with a place, as many as there are bits."),
        Column(
            "verdicts",
            "VARCHAR",
            "A bit a text, in the order of their places: 1 where most verdicts are that it obeys.",
        ),
        Column("known", "VARCHAR", "A bit a text: 1 where there is a verdict."),
        Column(
            "base_rate",
            "DOUBLE",
            "Share of the texts written for other instructions that obey, of those with a verdict.",
            nullable=True,
        ),
        Column(
            "own_rate",
            "DOUBLE",
            "The same of the texts that were to obey it.",
            nullable=True,
        ),
    ),
    key=("batch", "instruction_id"),
    foreign_keys=(_in_batch("augmented_instructions", "instruction_id"),),
    origins=(
        ("verdicts", "verifier_audits.source"),
        ("verdicts", "probe_texts.input"),
        ("base_rate", "probe_texts.input"),
        ("own_rate", "probe_texts.input"),
    ),
)

LABELLED_AGREEMENT = Table(
    "labelled_agreement",
    "A verifier, in use or rejected, and how it agrees with the labels that people gave responses.",
    "",
    (
        BATCH,
        VERIFIER_ID,
        INSTRUCTION_ID,
        VERIFIER_ORIGIN,
        Column("gate", "VARCHAR", "The reason for which it was rejected, or in use."),
        Column("texts", "BIGINT", "Labelled responses of its instruction."),
        Column("following", "BIGINT", "Of these, how many are labelled as following it."),
        Column("agreed", "BIGINT", "Of the texts, on how many it says what the label says."),
        Column("no_verdict", "BIGINT", "Of the texts, on how many it gives no verdict."),
        Column("share", "DOUBLE", "agreed / texts."),
    ),
    key=("batch", "verifier_id"),
    foreign_keys=(
        _in_batch("verifiers", "verifier_id"),
        _in_batch("augmented_instructions", "instruction_id"),
    ),
    origins=(
        ("gate", "verifiers.reason"),
        ("gate", "verifier_audits.reason"),
        ("agreed", "verifiers.source"),
    ),
    charts=(("share", "share"),),
)

VERIFIED_INSTRUCTIONS = Table(
    "verified_instructions",
    "An instruction after cross-validation and back-translation.",
    "3.2",
    (
        BATCH,
        INSTRUCTION_ID,
        INSTRUCTION,
        CATEGORY,
        Column("verifiers", "BIGINT", "Verifiers that survived."),
        Column("cases", "BIGINT", "Test cases that survived."),
        Column("entailments", "BIGINT", "Back-translations labelled entailment."),
        Column("neutrals", "BIGINT", "Back-translations labelled neutral."),
        Column("contradictions", "BIGINT", "Back-translations labelled contradiction."),
        Column(
            "base_rate", "DOUBLE", "Share of others' probe texts that obey, if there are any.", True
        ),
        *STATUS,
    ),
    key=("batch", "instruction_id"),
    foreign_keys=(_in_batch("augmented_instructions", "instruction_id"),),
    origins=(
        ("instruction", "augmented_instructions.instruction"),
        ("category", "augmented_instructions.category"),
        ("verifiers", "verifier_audits.verifier_id"),
        ("base_rate", "verdict_matrix.base_rate"),
        ("cases", "verifier_cases.case_id"),
        ("entailments", "back_translations.nli_label"),
        ("neutrals", "back_translations.nli_label"),
        ("contradictions", "back_translations.nli_label"),
    ),
    rule="A verifier and a case survive, and no back-translation contradicts.",
)

# Prompts, their responses, and what is said of these.

AUGMENTED_QUERIES = Table(
    "augmented_queries",
    "A verified instruction joined to a user query.",
    "3.3",
    (
        BATCH,
        PROMPT_ID,
        INSTRUCTION_ID,
        QUERY_ID,
        INSTRUCTION,
        QUERY,
        CONTEXT,
        Column("prompt", "VARCHAR", "Query and instruction as a trained model will see them."),
    ),
    key=("batch", "prompt_id"),
    foreign_keys=(
        _in_batch("verified_instructions", "instruction_id"),
        ForeignKey(("query_id",), "seed_queries", ("query_id",)),
    ),
    origins=(
        ("instruction", "verified_instructions.instruction"),
        ("query", "seed_queries.query"),
        ("context", "seed_queries.context"),
        ("prompt", "verified_instructions.instruction"),
        ("prompt", "seed_queries.query"),
    ),
    charts=(("prompt", "length"),),
    rule="16 user queries an instruction.",
)

RESPONSES = Table(
    "responses",
    "A sampled response to an augmented query.",
    "3.3",
    (
        BATCH,
        PROMPT_ID,
        INSTRUCTION_ID,
        SAMPLE,
        Column("response_id", "VARCHAR", "Content id of the response, if one came.", True),
        Column("response", "VARCHAR", "Text of the response, if one came.", True),
        Column("reasoning", "VARCHAR", "The model's reasoning, kept apart.", True),
        FINISH_REASON,
        CALL_ID,
        *STATUS,
        DETAIL,
    ),
    key=("batch", "prompt_id", "sample"),
    foreign_keys=(
        _in_batch("augmented_queries", "prompt_id"),
        _CALL,
    ),
    origins=(
        ("instruction_id", "augmented_queries.instruction_id"),
        ("response", "augmented_queries.instruction"),
        ("response", "augmented_queries.query"),
        ("response", "augmented_queries.context"),
    ),
    charts=(("response", "length"),),
    rule="8 samples a prompt.",
)

RESPONSE_VERDICTS = Table(
    "response_verdicts",
    "A distinct response and what its instruction's verifiers say of it.",
    "3.3",
    (
        BATCH,
        RESPONSE_ID,
        PROMPT_ID,
        INSTRUCTION_ID,
        Column("verifiers", "BIGINT", "Verifiers that were run."),
        Column("passed", "BIGINT", "How many returned True."),
        Column("failed", "BIGINT", "How many returned False."),
        Column("pass_rate", "DOUBLE", "passed / (passed + failed); null: no verdict.", True),
        Column("outcomes", OUTCOMES, "What each verifier returned."),
        *STATUS,
    ),
    key=("batch", "response_id"),
    foreign_keys=(
        _in_batch("responses", "response_id"),
        _in_batch("augmented_queries", "prompt_id"),
    ),
    origins=(
        ("instruction_id", "responses.instruction_id"),
        ("verifiers", "verifiers.verifier_id"),
        ("passed", "verifiers.source"),
        ("passed", "responses.response"),
        ("failed", "verifiers.source"),
        ("failed", "responses.response"),
        ("pass_rate", "verifiers.source"),
        ("pass_rate", "responses.response"),
        ("outcomes", "verifiers.source"),
        ("outcomes", "responses.response"),
    ),
    charts=(("pass_rate", "share"),),
    rule="More than half of the verdicts are pass.",
)

RESPONSE_SCORES = Table(
    "response_scores",
    "The supervision model's opinion whether a verified response answers its query.",
    "3.3",
    (
        BATCH,
        RESPONSE_ID,
        PROMPT_ID,
        INSTRUCTION_ID,
        Column("score", "DOUBLE", "Quality from 0 to 10, if one parsed.", True),
        RAW,
        FINISH_REASON,
        CALL_ID,
        *STATUS,
    ),
    key=("batch", "response_id"),
    foreign_keys=(
        _in_batch("response_verdicts", "response_id"),
        _CALL,
    ),
    origins=(
        ("prompt_id", "responses.prompt_id"),
        ("instruction_id", "augmented_queries.instruction_id"),
        ("score", "responses.response"),
        ("score", "augmented_queries.query"),
        ("score", "augmented_queries.context"),
    ),
    charts=(("score", "score"),),
    rule="A score of 8 or better, of 10.",
)

FURTHER_RESPONSES = RESPONSES.variant(
    "further_responses",
    "A response, beyond the paper, to a prompt whose others were all good or all failed.",
    "3.4",
    added=(FURTHER_ORIGIN,),
)

FURTHER_VERDICTS = RESPONSE_VERDICTS.variant(
    "further_verdicts",
    "A further response and what the verifiers say of it; a near miss is to pass none.",
    "3.4",
    added=(FURTHER_ORIGIN,),
    instead_of={"responses": FURTHER_RESPONSES},
    origins=(("origin", "further_responses.origin"),),
)

FURTHER_SCORES = RESPONSE_SCORES.variant(
    "further_scores",
    "The supervision model's opinion whether a further response answers its query.",
    "3.4",
    added=(FURTHER_ORIGIN,),
    instead_of={"responses": FURTHER_RESPONSES, "response_verdicts": FURTHER_VERDICTS},
    origins=(("origin", "further_verdicts.origin"),),
)

FILTERED_QUERIES = Table(
    "filtered_queries",
    "An augmented query after verification and scoring of its responses.",
    "3.3",
    (
        BATCH,
        PROMPT_ID,
        INSTRUCTION_ID,
        QUERY_ID,
        Column("responses", "BIGINT", "Distinct responses with a text."),
        Column(
            "judged",
            "BIGINT",
            "Of these, how many passed or failed by enough verdicts, near misses aside.",
        ),
        Column("passing", "BIGINT", "Of these, how many passed verification."),
        Column("failing", "BIGINT", "Of these, how many passed no verifier."),
        Column("kept", "BIGINT", "Of the passing, how many reached the quality score."),
        Column(
            "pass_at_k",
            "DOUBLE",
            "Chance that one of difficulty_k responses passes (2107.03374); null: none judged.",
            True,
        ),
        *STATUS,
    ),
    key=("batch", "prompt_id"),
    foreign_keys=(_in_batch("augmented_queries", "prompt_id"),),
    origins=(
        ("instruction_id", "augmented_queries.instruction_id"),
        ("query_id", "augmented_queries.query_id"),
        ("responses", "response_verdicts.response_id"),
        ("responses", "further_verdicts.response_id"),
        ("judged", "response_verdicts.status"),
        ("judged", "further_verdicts.status"),
        ("passing", "response_verdicts.status"),
        ("passing", "further_verdicts.status"),
        ("failing", "response_verdicts.passed"),
        ("failing", "further_verdicts.passed"),
        ("kept", "response_scores.status"),
        ("kept", "further_scores.status"),
        ("pass_at_k", "response_verdicts.status"),
        ("pass_at_k", "further_verdicts.status"),
    ),
    rule="At least one verifier and one response are left.",
)

RESPONSE_LIKELIHOODS = Table(
    "response_likelihoods",
    "A response and how likely the supervision model finds it; empty unless asked for.",
    "",
    (
        BATCH,
        RESPONSE_ID,
        PROMPT_ID,
        INSTRUCTION_ID,
        Column("kept", "BOOLEAN", "Whether it passed and scored well: an SFT candidate."),
        Column("tokens", "BIGINT", "Tokens that both means are taken over.", True),
        Column(
            "mean_logprob", "DOUBLE", "Mean log-probability of a token, given the prompt.", True
        ),
        Column("mean_logprob_alone", "DOUBLE", "The same without the prompt.", True),
        Column("ifd", "DOUBLE", "mean_logprob / mean_logprob_alone: IFD (2308.12032).", True),
        CALL_ID,
        Column("call_id_alone", "VARCHAR", "Model call without the prompt."),
        *STATUS,
        DETAIL,
    ),
    key=("batch", "response_id"),
    foreign_keys=(
        _in_batch("responses", "response_id", or_table="further_responses"),
        _CALL,
        _in_batch("llm_calls", "call_id_alone", "call_id"),
    ),
    origins=(
        ("prompt_id", "response_verdicts.prompt_id"),
        ("instruction_id", "response_verdicts.instruction_id"),
        ("kept", "response_scores.status"),
        ("kept", "further_scores.status"),
        ("mean_logprob", "augmented_queries.prompt"),
        ("mean_logprob", "augmented_queries.context"),
        ("mean_logprob", "responses.response"),
        ("mean_logprob", "further_responses.response"),
        ("mean_logprob_alone", "responses.response"),
        ("mean_logprob_alone", "further_responses.response"),
        ("ifd", "augmented_queries.prompt"),
        ("ifd", "augmented_queries.context"),
        ("ifd", "responses.response"),
        ("ifd", "further_responses.response"),
    ),
)

# Training data.

SFT_EXAMPLES = Table(
    "sft_examples",
    "A prompt and a verified response to imitate.",
    "3.4",
    (
        BATCH,
        EXAMPLE_ID,
        PROMPT_ID,
        RESPONSE_ID,
        INSTRUCTION_ID,
        QUERY_ID,
        CONTEXT,
        PROMPT,
        Column("response", "VARCHAR", "Target text."),
        PASS_RATE,
        Column("score", "DOUBLE", "Quality from 0 to 10."),
        Column("ifd", "DOUBLE", "Instruction-following difficulty, if asked for.", True),
        *STATUS,
    ),
    key=("batch", "example_id"),
    foreign_keys=(
        _in_batch("filtered_queries", "prompt_id"),
        _in_batch("response_scores", "response_id", or_table="further_scores"),
    ),
    origins=(
        ("instruction_id", "filtered_queries.instruction_id"),
        ("query_id", "filtered_queries.query_id"),
        ("context", "augmented_queries.context"),
        ("prompt", "augmented_queries.prompt"),
        ("response", "responses.response"),
        ("response", "further_responses.response"),
        ("pass_rate", "response_verdicts.pass_rate"),
        ("score", "response_scores.score"),
        ("pass_rate", "further_verdicts.pass_rate"),
        ("score", "further_scores.score"),
        ("ifd", "response_likelihoods.ifd"),
    ),
    charts=(("response", "length"), ("pass_rate", "share"), ("score", "score")),
)

KTO_EXAMPLES = Table(
    "kto_examples",
    "A prompt and a response labelled good or bad, for KTO.",
    "3.4",
    (
        BATCH,
        EXAMPLE_ID,
        PROMPT_ID,
        RESPONSE_ID,
        INSTRUCTION_ID,
        QUERY_ID,
        CONTEXT,
        PROMPT,
        Column("completion", "VARCHAR", "Text of the response."),
        Column("label", "BOOLEAN", "True: passed and scored well; false: passes no verifier."),
        PASS_RATE,
        Column("score", "DOUBLE", "Quality from 0 to 10, if it was scored.", True),
        ORIGIN,
    ),
    key=("batch", "example_id"),
    foreign_keys=(
        _in_batch("filtered_queries", "prompt_id"),
        _in_batch("response_verdicts", "response_id", or_table="further_verdicts"),
    ),
    origins=(
        ("instruction_id", "filtered_queries.instruction_id"),
        ("query_id", "filtered_queries.query_id"),
        ("context", "augmented_queries.context"),
        ("prompt", "augmented_queries.prompt"),
        ("completion", "responses.response"),
        ("completion", "further_responses.response"),
        ("pass_rate", "response_verdicts.pass_rate"),
        ("pass_rate", "further_verdicts.pass_rate"),
        ("score", "response_scores.score"),
        ("score", "further_scores.score"),
        ("label", "response_verdicts.status"),
        ("label", "further_verdicts.status"),
        ("origin", "further_verdicts.origin"),
    ),
    charts=(("completion", "length"), ("pass_rate", "share"), ("score", "score")),
)

INSTRUCTION_PREFERENCE_PAIRS = Table(
    "instruction_preference_pairs",
    "A pair of test cases of one instruction: one follows it, one does not.",
    "3.4",
    (
        BATCH,
        PAIR_ID,
        INSTRUCTION_ID,
        Column("prompt", "VARCHAR", "The instruction alone."),
        *PAIR,
    ),
    key=("batch", "pair_id"),
    foreign_keys=(
        _in_batch("verified_instructions", "instruction_id"),
        _in_batch("verifier_cases", "chosen_id", "case_id"),
        _in_batch("verifier_cases", "rejected_id", "case_id"),
    ),
    origins=(
        ("prompt", "verified_instructions.instruction"),
        ("chosen", "verifier_cases.input"),
        ("rejected", "verifier_cases.input"),
        ("chosen_pass_rate", "verifier_cases.outcomes"),
        ("rejected_pass_rate", "verifier_cases.outcomes"),
    ),
    rule="Chosen cases pass more than half of the functions, rejected ones none.",
)

QUERY_PREFERENCE_PAIRS = Table(
    "query_preference_pairs",
    "A pair of responses to one augmented query: one passes, one passes no verifier.",
    "3.4",
    (
        BATCH,
        PAIR_ID,
        PROMPT_ID,
        INSTRUCTION_ID,
        QUERY_ID,
        CONTEXT,
        PROMPT,
        *PAIR,
    ),
    key=("batch", "pair_id"),
    foreign_keys=(
        _in_batch("filtered_queries", "prompt_id"),
        _in_batch("response_scores", "chosen_id", "response_id", "further_scores"),
        _in_batch("response_verdicts", "rejected_id", "response_id", "further_verdicts"),
    ),
    origins=(
        ("instruction_id", "filtered_queries.instruction_id"),
        ("query_id", "filtered_queries.query_id"),
        ("context", "augmented_queries.context"),
        ("prompt", "augmented_queries.prompt"),
        ("chosen", "responses.response"),
        ("rejected", "responses.response"),
        ("chosen_pass_rate", "response_verdicts.pass_rate"),
        ("rejected_pass_rate", "response_verdicts.pass_rate"),
    ),
    rule="Chosen responses pass more than half of the functions, rejected ones none.",
)

PREFERENCE_PAIRS = Table(
    "preference_pairs",
    "A preference pair of either level, ready for DPO.",
    "3.4",
    (
        BATCH,
        PAIR_ID,
        Column("level", "VARCHAR", "instruction or query.", values=("instruction", "query")),
        Column("prompt_id", "VARCHAR", "The augmented query; null at instruction level.", True),
        INSTRUCTION_ID,
        CONTEXT,
        Column("prompt", "VARCHAR", "What the policy is asked."),
        *PAIR,
        *STATUS,
    ),
    key=("batch", "pair_id"),
    foreign_keys=(
        _in_batch("verified_instructions", "instruction_id"),
        _in_batch("filtered_queries", "prompt_id"),
    ),
    origins=(
        ("context", "query_preference_pairs.context"),
        *(
            (column, f"{level}_preference_pairs.{column}")
            for level in ("instruction", "query")
            for column in ("pair_id", "prompt", *(column.name for column in PAIR))
        ),
    ),
    charts=(("chosen", "length"), ("rejected", "length")),
)

RL_PROMPTS = Table(
    "rl_prompts",
    "A prompt for RL with verifiable rewards, and how often sampled responses to it pass.",
    "",
    (
        BATCH,
        PROMPT_ID,
        INSTRUCTION_ID,
        QUERY_ID,
        QUERY,
        CONTEXT,
        PROMPT,
        Column("instruction_ids", "VARCHAR[]", "Ids of the instructions whose verifiers decide."),
        Column("judged", "BIGINT", "Responses with enough verdicts, near misses aside."),
        Column("passing", "BIGINT", "Of these, how many pass."),
        Column("pass_rate", "DOUBLE", "passing / judged; null: none was judged.", nullable=True),
        Column(
            "base_rates",
            "DOUBLE[]",
            "For each of the ids: share of others' probe texts that obey; null: not known.",
        ),
        Column(
            "split",
            "VARCHAR",
            "Where it was when it was made; the export's files say where it is.",
            values=("train", "eval", "neither"),
        ),
        *STATUS,
    ),
    key=("batch", "prompt_id"),
    foreign_keys=(_in_batch("augmented_queries", "prompt_id"),),
    origins=(
        ("instruction_id", "augmented_queries.instruction_id"),
        ("query_id", "augmented_queries.query_id"),
        ("query", "augmented_queries.query"),
        ("context", "augmented_queries.context"),
        ("prompt", "augmented_queries.prompt"),
        ("instruction_ids", "augmented_queries.instruction_id"),
        ("judged", "filtered_queries.judged"),
        ("passing", "filtered_queries.passing"),
        ("pass_rate", "filtered_queries.passing"),
        ("base_rates", "verified_instructions.base_rate"),
    ),
    charts=(("pass_rate", "share"),),
)

# The online loop: the same steps for the responses of trained models.

POLICIES = Table(
    "policies",
    "A served model that the online loop samples from and compares.",
    "",
    (
        POLICY,
        Column("base_url", "VARCHAR", "Endpoint, without credentials; null: supervision's.", True),
        MODEL,
        Column("api_key_variable", "VARCHAR", "Variable that holds its key, if any.", True),
        Column("checkpoint", "VARCHAR", "Folder of its weights, if known.", True),
        Column("parent", "VARCHAR", "Policy it was trained from, if known.", True),
        Column("created_at", "TIMESTAMPTZ", "When it was first registered."),
    ),
    key=("policy",),
    partitions=("policy",),
)

POLICY_RESPONSES = RESPONSES.variant(
    "policy_responses",
    "A response that a policy sampled to an augmented query.",
    "3.4",
    partition=POLICY,
    after={"instruction_id": SPLIT},
    foreign_keys=(ForeignKey(("policy",), "policies", ("policy",)),),
    rule="The policy samples its training prompts at temperature 0.8.",
)

POLICY_VERDICTS = RESPONSE_VERDICTS.variant(
    "policy_verdicts",
    "A distinct response of a policy and what its instruction's verifiers say of it.",
    "3.4",
    partition=POLICY,
    after={"instruction_id": SPLIT},
    instead_of={"responses": POLICY_RESPONSES},
)

ONLINE_PREFERENCE_PAIRS = replace(
    QUERY_PREFERENCE_PAIRS.variant(
        "online_preference_pairs",
        "A pair of responses: one passes, the policy's own passes no verifier, or is of SPIN.",
        "3.4",
        partition=POLICY,
        # Nobody asks the verifiers for what SPIN rejects.
        changed=(
            *(
                replace(column, nullable=True, description=f"{column.description} Null of spin.")
                for column in PAIR
                if column.name in ("rejected_pass_rate", "margin")
            ),
            Column(
                "origin",
                "VARCHAR",
                "sampled: both the policy's own; spin: chosen is an SFT response.",
                values=("sampled", "spin"),
            ),
        ),
        added=STATUS,
        instead_of={
            "filtered_queries": AUGMENTED_QUERIES,
            "responses": POLICY_RESPONSES,
            "response_verdicts": POLICY_VERDICTS,
        },
        origins=(("chosen", "sft_examples.response"),),
        rule="Pairs as of sampled responses, made again in each iteration.",
    ),
    # The offline pairs' keys lead to responses that no policy made.
    foreign_keys=(
        _in_batch("augmented_queries", "prompt_id"),
        _in_batch("policy_verdicts", "chosen_id", "response_id", "sft_examples"),
        _of_policy("policy_verdicts", "rejected_id", "response_id"),
    ),
)

POLICY_SCORECARD = Table(
    "policy_scorecard",
    "How often a policy follows held-out instructions, over all and in each category.",
    "3.4",
    (
        BATCH,
        POLICY,
        Column("category", "VARCHAR", "Category of the constraint, none, or all."),
        Column("instructions", "BIGINT", "Held-out instructions."),
        Column("prompts", "BIGINT", "Prompts of these with a sample."),
        Column("samples", "BIGINT", "Samples of these with a verdict, or unusable."),
        Column("k", "BIGINT", "K of pass@K: samples asked for per prompt."),
        Column("pass_at_1", "DOUBLE", "Share of samples that pass, prompts weighing alike.", True),
        Column("pass_at_1_low", "DOUBLE", "Lower bound of its 95 % interval.", True),
        Column("pass_at_1_high", "DOUBLE", "Upper bound of its 95 % interval.", True),
        Column("pass_at_k", "DOUBLE", "Unbiased share of prompts that one of K passes.", True),
        Column("pass_at_k_low", "DOUBLE", "Lower bound of its 95 % interval.", True),
        Column("pass_at_k_high", "DOUBLE", "Upper bound of its 95 % interval.", True),
    ),
    key=("batch", "policy", "category"),
    partitions=("batch", "policy"),
)

# What is kept beside the flow.

BATCHES = Table(
    "batches",
    "A batch and the recipe it is made by, whoever makes it; pinned by its first run.",
    "",
    (
        BATCH,
        Column("recipe", "VARCHAR", "Name of the recipe; null: not pinned yet.", True),
        Column("numbers", "VARCHAR", "Every number of the recipe, as JSON.", True),
        Column("roles", ROLES, "Who is asked in each role, without credentials.", True),
        Column("prompts_hash", "VARCHAR", "Hash of the prompts and their schemas.", True),
        Column("seeds_hash", "VARCHAR", "Hash of the seeds, their categories and checks.", True),
        Column("queries_hash", "VARCHAR", "Hash of the queries and their contexts.", True),
        Column("created_at", "TIMESTAMPTZ", "When it was pinned; rows are younger.", True),
        Column(
            "asked_by",
            "VARCHAR",
            "Who asked for that run: command line, UI, backfill, or a schedule by its name.",
            True,
        ),
        Column("simulated", "BOOLEAN", "Whether a role is the built-in simulator.", True),
        Column("excluded", "BOOLEAN", "Whether the exports leave it out."),
        Column("remark", "VARCHAR", "What of this is assumed, if it was made before.", True),
        Column(
            "categories",
            "VARCHAR[]",
            "Categories that were scarce at its first run, of which it asks for instructions.",
            True,
        ),
    ),
    key=("batch",),
)

INPUT_SETS = Table(
    "input_sets",
    "A seed or query that a batch is pinned to and that the files held once and do not now.",
    "",
    (
        Column("hash", "VARCHAR", "The seeds_hash or queries_hash of batches."),
        Column("text_id", "VARCHAR", "Content id of the seed or query."),
        Column("text", "VARCHAR", "Its text."),
        CATEGORY,
        CONTEXT,
        *CHECKS,
    ),
    key=("hash", "text_id"),
    partitions=("hash",),
)

LLM_CALLS = Table(
    "llm_calls",
    "One model call: what was asked, what came back, what it cost.",
    "",
    (
        BATCH,
        Column("asset", "VARCHAR", "Asset that made the call."),
        CALL_ID,
        MODEL,
        Column("base_url", "VARCHAR", "Endpoint, without credentials."),
        Column("prompt", "VARCHAR", "The rendered prompt."),
        Column("request", "VARCHAR", "Sampling parameters, schema and context as JSON."),
        Column("completions", "VARCHAR[]", "Raw texts in order of sample."),
        Column("finish_reasons", "VARCHAR[]", "Why the server ended each completion."),
        Column("prompt_tokens", "BIGINT", "Tokens of the prompt, if reported.", True),
        Column("cached_tokens", "BIGINT", "Of these, from the prefix cache.", True),
        Column("completion_tokens", "BIGINT", "Tokens of the completions.", True),
        Column("cost", "DOUBLE", "Money, at the prices it was made with."),
        Column("attempts", "BIGINT", "HTTP requests it took."),
        Column("queue_wait_s", "DOUBLE", "Seconds until its first request was sent."),
        Column("latency_s", "DOUBLE", "Seconds the last attempt took."),
        Column("started_at", "TIMESTAMPTZ", "Start of the first attempt."),
        Column("finished_at", "TIMESTAMPTZ", "End of the last attempt."),
        Column("error", "VARCHAR", "The server's words if it refused the call.", True),
    ),
    key=("batch", "asset", "call_id"),
    partitions=("batch", "asset"),
)

DATASET_SPLITS = Table(
    "dataset_splits",
    "An instruction's side in the last export of a dataset; none of its rows is on the other.",
    "",
    (
        Column("dataset", "VARCHAR", "sft, preference, kto or reward."),
        INSTRUCTION_ID,
        Column("split", "VARCHAR", "train or eval.", values=("train", "eval")),
    ),
    key=("dataset", "instruction_id"),
    partitions=("dataset",),
)

DATASET_LEFT_OUT = Table(
    "dataset_left_out",
    "A prompt that is in neither split of the last export of a dataset.",
    "",
    (
        Column("dataset", "VARCHAR", "sft, preference, kto or reward."),
        PROMPT_ID,
        Column(
            "query_of",
            "VARCHAR",
            "Split of its query, train or eval; its instruction is of the other.",
            values=("train", "eval"),
        ),
    ),
    key=("dataset", "prompt_id"),
    partitions=("dataset",),
)

_ALL = (
    SEED_INSTRUCTIONS,
    SEED_QUERIES,
    AUGMENTED_INSTRUCTIONS,
    VERIFIER_CANDIDATES,
    TEST_CASES,
    PROBE_TEXTS,
    VERIFIER_REPAIRS,
    AUDITOR_ANSWERS,
    VERIFIERS,
    VERIFIER_CASES,
    BACK_TRANSLATIONS,
    VERIFIER_AUDITS,
    VERDICT_MATRIX,
    LABELLED_AGREEMENT,
    VERIFIED_INSTRUCTIONS,
    AUGMENTED_QUERIES,
    RESPONSES,
    RESPONSE_VERDICTS,
    RESPONSE_SCORES,
    FURTHER_RESPONSES,
    FURTHER_VERDICTS,
    FURTHER_SCORES,
    FILTERED_QUERIES,
    RESPONSE_LIKELIHOODS,
    SFT_EXAMPLES,
    KTO_EXAMPLES,
    INSTRUCTION_PREFERENCE_PAIRS,
    QUERY_PREFERENCE_PAIRS,
    PREFERENCE_PAIRS,
    RL_PROMPTS,
    POLICIES,
    POLICY_RESPONSES,
    POLICY_VERDICTS,
    ONLINE_PREFERENCE_PAIRS,
    POLICY_SCORECARD,
    BATCHES,
    INPUT_SETS,
    LLM_CALLS,
    DATASET_SPLITS,
    DATASET_LEFT_OUT,
)

TABLES: Mapping[str, Table] = MappingProxyType({table.name: table for table in _ALL})
