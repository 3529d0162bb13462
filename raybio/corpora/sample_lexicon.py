"""The language of the sample corpus: a grammar of names and sentences, and what expands it.

A rule is a symbol and its alternatives, separated by ` | ` or line ends. In an alternative
`{symbol}` stands for one expansion of that symbol, and `{Chemical:lead}` for the word "lead"
as a Chemical. Everything else is text. An expansion is a list of pieces, each a text and its
label ("" outside entities); the words of a text are never cut between two pieces.

Names are composed of morphemes (-tinib, -itis, -oma), so that a model can know one it never
saw; words such as "lead", "cold" or "KIT" are an entity in one sentence and none in another,
so that a list of names is not enough. All sentences are made up, and say nothing true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import TypeAlias

Piece: TypeAlias = tuple[str, str]
Lexicon: TypeAlias = dict[str, Sequence[tuple[Piece, ...]]]

LABELS = ("CellLine", "Chemical", "Disease", "Gene", "Species")

NAMES = {
    "Chemical": """{drug} | {drug} | {drug} | {drug} | {drug} | {parent} | {ion} | {metal} {salt}
        {locant}-{group}{parent} | 2,{locant}-di{group}{parent} | 2,4,6-tri{group}{parent}
        {greek}-{group}{parent} | 17{greek}-{group}{steroid} | N-{acyl}-l-{amino}ine | {amino}ine
        ({chirality})-{locant}-{group}{acid} | {acyl} {amino}ate | {drug} {salt} | {formula}""",
    "drug": "{syllable}{syllable}{drug_end} | {syllable}{syllable}{drug_end} | {syllable}{drug_end}",
    "drug_end": """mab | tinib | olol | pril | sartan | vastatin | conazole | cillin | mycin | azepam
        oxetine | gliptin | caine | profen | floxacin | navir | dipine | setron""",
    "syllable": """ba | be | cor | da | den | fe | ga | hal | ilo | ka | lu | mi | nor | pa | que | ra
        sel | ta | tri | ul | va | xe | zo | zan""",
    "group": "nitro | chloro | methoxy | hydroxy | fluoro | amino | bromo | ethyl | methyl | oxo",
    "parent": "phenol | benzene | toluene | aniline | quinoline | pyridine | indole | furan | thiazole",
    "steroid": "estradiol | pregnane | androstane | cholestane",
    "acyl": "acetyl | butyl | benzoyl | propionyl | palmitoyl",
    "acid": "butyrate | propionate | valerate | benzoate | hexanoate | glutarate",
    "amino": "cyste | methion | tyros | glutam | argin | leuc | histid",
    "metal": "sodium | potassium | zinc | calcium | lithium | ammonium | ferrous",
    "salt": "chloride | sulfate | citrate | acetate | bromide | phosphate | tartrate",
    "formula": "H2O2 | CO2 | NH3 | SO2 | N2O | CCl4",
    "ion": "Ca2+ | Mg2+ | Zn2+ | Fe3+ | Cu2+",
    "locant": "3 | 4 | 5 | 6",
    "chirality": "R | S",
    "greek": "α | β | γ | δ | α | β | 𝛽",
    "Disease": """{organ}{disease_end} | {organ}{disease_end} | {organ}{disease_end} | {organ}{disease_end}
        {course} {organ}{disease_end} | {course} {site} {disease} | {site} {disease} | {eponym} syndrome
        {eponym}-{eponym} disease | {eponym}'s disease | {disease} of the {place}
        type {locant} {eponym} syndrome | {course} drug-induced {organ}{disease_end}
        {course} {site} {disease} of infancy""",
    "organ": """hepat | nephr | arthr | gastr | neur | derm | encephal | card | col | my | thyroid
        pancreat | bronch | rhin | oste | vascul""",
    "disease_end": "itis | itis | oma | emia | osis | opathy | algia",
    "disease": "carcinoma | fibrosis | ischemia | lymphoma | atrophy | hypertension | necrosis | sclerosis",
    "course": "acute | chronic | congenital | refractory | recurrent | idiopathic | juvenile",
    "site": "hepatic | renal | pulmonary | gastric | retinal | cerebral | portal | adrenal",
    "place": "pancreas | bladder | larynx | ovary | tongue",
    "eponym": "{eponym_start}{eponym_end}",
    "eponym_start": "Hal | Brun | Kest | Lind | Mar | Oster | Tav | Wen | Zell | Quar",
    "eponym_end": "vorsen | ner | qvist | mann | ski | eau | ini | brook",
    "Gene": """{symbol}{digit} | {symbol}{digit} | {symbol}{digit} | {symbol}{digit}{upper}
        {symbol}-{digit} | p{digit}{digit} | {symbol}-{greek} | {greek}-{protein}in | {protein}in {digit}
        {protein}in | {protein}in receptor {digit}""",
    "symbol": "{upper}{upper}{upper} | {upper}{upper}{upper} | {upper}{upper}",
    "upper": "A | B | C | D | F | G | K | L | M | N | P | R | S | T | X",
    "digit": "1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9",
    "protein": "caten | tubul | cadher | kerat | vinc | lam | ferr | globul | fibul",
    "CellLine": """{upper}{vowel}{upper}{vowel} | {upper}{vowel}{upper}{vowel}-{digit}
        {symbol}-{digit}{digit}{digit} | {symbol}{digit} | SK-{symbol}-{digit} | {upper}{digit}{digit}
        NIH-{digit}{upper}{digit}""",
    "vowel": "a | e | o | u",
    "Species": """{animal} | {animal} | {strain} {rodent} | {rodent} | {genus} {epithet}
        {genus} {epithet} | {upper}. {epithet} | {symbol}/{digit} {rodent}""",
    "animal": "zebrafish | rabbits | pigs | dogs | chickens | macaques | ferrets | goats | humans | yeast",
    "rodent": "mice | rats | hamsters",
    "strain": "Wistar | athymic | transgenic | albino | germ-free",
    "genus": "{genus_start}bacter | {genus_start}coccus | {genus_start}monas | {genus_start}myces",
    "genus_start": "Lacto | Entero | Myco | Thermo | Halo | Rhodo | Aceto",
    "epithet": "lentus | coli | aureum | gracilis | montana | nivea | palustris | vulgaris",
}

SENTENCES = {
    "sentence": """{fact}. | {fact}. | {fact} {tail}. | {fact} {tail}. | {opener}, {fact}.
        {opener}, {fact} {tail}. | {fact}, whereas {fact}. | {fact}, and {fact}. | {plain}.
        {opener}, {plain}. | {plain} {tail}. | {either} | {either}""",
    "fact": """{Chemical} {changed} {Disease} in {Species}
        {Chemical}-induced {Disease} was {rare} in {people}
        {Chemical} {changed} the expression of {Gene} in {CellLine} cells
        {Gene} is required for {process}
        {people} with {Disease} received {Chemical} ({dose}) for {duration}
        {Gene} binds {Gene} in {Species} | the risk of {Disease} and {Disease} was {rare} among {people}
        {Disease} was confirmed in {number} {people} | loss of {Gene} {changed} {process} in {Species}
        {CellLine} and {CellLine} cells were grown with {Chemical}
        {Chemical}, {Chemical} and {Chemical} were well tolerated | mutations of {Gene} cause {Disease}
        {Disease+} {changed} {process} | {Gene+} {changed} {process} in {CellLine} cells
        {people} with {Disease+} were screened for {Gene} variants | {Gene+} and {Gene} form a complex
        anti-{Gene} antibodies {changed} {process} | {Gene}-deficient {Species} developed {Disease}
        knock-down of {Gene} in {CellLine} cells abolished the effect of {Chemical}
        {Species} were infected with {Species}
        {Disease} secondary to {Chemical} resolved after withdrawal | no {Disease} was seen with {Chemical}
        {Species} given {dose} of {Chemical} did not develop {Disease} | {Chemical} inhibits {Gene}
        serum {Chemical} was {rare} in {people} with {Disease}
        {CellLine} is a line derived from {Disease} | neither {Chemical} nor {Chemical} {changed} {process}
        co-treatment with {Chemical}/{Chemical} was stopped""",
    "plain": """the groups did not differ in {process}
        {number} {people} completed the {adjective} questionnaire
        follow-up was {adjective} and lasted {duration}
        we review the {adjective} evidence on {process} and its limits
        the {adjective} protocol was registered {duration} before the first visit
        {people} gave written consent | samples were kept at -{number} °C until {adjective} analysis
        the model explained {percent} of the variance
        differences were considered significant at 𝑝 < 0.{hundredths}
        costs rose by {percent} over {duration}
        one of the {people} wrote "I slept through the night 😀" in a diary
        data were double-checked by {digit} readers
        interviews with {number} {people} were transcribed by hand
        a well-designed, {adjective} study of {process} is still needed
        self-reported outcomes improved by {percent} | the cut-off was set at {number} points""",
    "either": """Exposure to {Chemical:lead} {changed} {process}.
        These signals may lead to errors in {process}. | Traces of {Chemical:gold} were found in {people}.
        The {adjective} score remains the gold standard for {people}.
        {people} caught a {Disease:cold} during the trial.
        Samples were washed {digit} times in cold buffer. | {Disease:Depression} was {rare} among {people}.
        Depression of the baseline by {number} mV was an artefact.
        {Gene:KIT} mutations {changed} {process}.
        An ELISA KIT from one supplier was used for {number} samples.
        Silencing of {Gene:REST} {changed} {process}.
        After REST for {duration}, {people} were measured again. | {Gene:SET} interacts with {Gene}.
        A second SET of {number} images was rated blind. | {Species:Mouse} tissue was stained for {Gene}.
        Answers were given by computer mouse within {number} s.
        {Species:Fish} were exposed to {Chemical}. | {number} meals held Fish and no meat.
        {Disease:Shock} was {rare} in {people}.
        Shock absorbers were fitted after {number} s of {adjective} filming.
        {Disease:MS} was diagnosed in {number} {people}. | MS spectra were recorded for {number} samples.
        {Chemical:NO} release {changed} {process}. | NO difference was found between {people}.
        {CellLine:Jurkat} cells were kept with {Chemical}. | Jurkat et al. proposed the {adjective} score.""",
    "title": """{Chemical} and {Disease} in {people} | {Gene} in {Disease}: a {adjective} study
        Effects of {Chemical} on {Gene} in {CellLine} cells | {Disease+} and {process}
        {Gene+} in {Species}: {adjective} evidence | Measuring {process} over {duration}
        Does {Chemical} protect {Species} from {Disease}? A {adjective} report""",
    "changed": """reduced | increased | attenuated | did not alter | abolished | modestly improved
        impaired | up-regulated | restored | delayed""",
    "rare": "rare | common | lower than expected | {percent} | not observed | more frequent",
    "people": """patients | children | postmenopausal women | healthy volunteers | participants | smokers
        older adults | out-patients | controls | donors""",
    "process": """cell migration | wound healing | blood pressure | apoptosis | weight gain | sleep quality
        T-cell activation | bone turnover | gait speed | memory | phosphorylation""",
    "adjective": "blinded | cross-sectional | retrospective | preliminary | narrative | two-arm | multi-site",
    "opener": """In contrast | Interestingly | Compared with placebo | In a {adjective} study
        At week {number} | Taken together | Among {number} {people} | Contrary to our hypothesis
        By multivariate analysis""",
    "tail": """in a dose-dependent manner | after {duration} | ({number} vs. {number}) | (𝑝 = 0.{hundredths})
        (P < 0.001) | (95% CI {digit}.{digit}–{number}) | within {duration} of the first dose | as expected
        (Fig. {digit}) | at both sites | [odds ratio, {digit}.{digit}]""",
    "dose": "{number} mg/kg | {number} µg | {digit}.{digit} mM | {number} mg twice daily",
    "duration": "{number} days | {digit} weeks | {digit} months | {number} min",
    "percent": "{number}% | {digit}.{digit}%",
    "number": " | ".join(str(number) for number in range(11, 100)),
    "digit": NAMES["digit"],
    "hundredths": "01 | 02 | 03 | 04",
}

FULL_NAMES = {
    "Gene": "{source} {action} factor {greek} | {source} {action} factor {digit} | {source} {action} kinase",
    "Disease": "{course} {site} {disease} | {site} {disease} syndrome | {eponym} {site} {disease}",
    "source": "tumour | neural | epidermal | hepatic | platelet | vascular | mast cell",
    "action": "growth | necrosis | adhesion | survival | migration | repair",
    "greek": "alpha | beta | gamma | delta",
}

_GREEK = {"alpha": "-α", "beta": "-β", "gamma": "-γ", "delta": "-δ"}
_SLOT = re.compile(r"\{(\w+\+?)(?::([^}]+))?\}")
_BETWEEN = re.compile(r" \| |\n")


class Grammar:
    """Rules compiled once; `expand` draws from them with nothing but `random()`.

    `Random.random()` is the one method whose sequence Python promises to keep for a seed,
    so an expansion is the same on every version.
    """

    def __init__(self, rules: Mapping[str, str], lexicon: Lexicon | None = None) -> None:
        self._rules: dict[str, Sequence[tuple[Piece | str, ...]]] = {
            symbol: [_compile(text.strip()) for text in _BETWEEN.split(alternatives)]
            for symbol, alternatives in rules.items()
        }
        self._rules.update(lexicon or {})

    def expand(self, symbol: str, rng: Random) -> list[Piece]:
        """Return the pieces of one random expansion of `symbol`."""
        pieces: list[Piece] = []
        self._expand(symbol, rng, pieces)
        return pieces

    def _expand(self, symbol: str, rng: Random, into: list[Piece]) -> None:
        alternatives = self._rules[symbol]
        for item in alternatives[int(rng.random() * len(alternatives))]:
            if isinstance(item, str):
                self._expand(item, rng, into)
            else:
                into.append(item)


def text_of(pieces: Iterable[Piece]) -> str:
    """Return the text of `pieces`."""
    return "".join(text for text, _ in pieces)


def build_lexicon(rng: Random, size: int = 200) -> Lexicon:
    """Return up to `size` distinct names for each label, as pieces, in random order.

    Under "Gene+" and "Disease+" stand names with their abbreviation: `tumour growth factor
    alpha (TGF-α)`, two entities.
    """
    names, full_names = Grammar(NAMES), Grammar(NAMES | FULL_NAMES)
    lexicon: Lexicon = {}
    for label in LABELS:
        lexicon[label] = [((name, label),) for name in _distinct(names, label, rng, size)]
    for label in ("Disease", "Gene"):
        lexicon[f"{label}+"] = [
            ((name, label), (" (", ""), (abbreviation(name), label), (")", ""))
            for name in _distinct(full_names, label, rng, size // 4)
        ]
    return lexicon


def part_of(lexicon: Lexicon, start: float, end: float) -> Lexicon:
    """Return the names between the fractions `start` and `end` of each list."""
    return {
        symbol: names[int(start * len(names)) : int(end * len(names))] for symbol, names in lexicon.items()
    }


def abbreviation(name: str) -> str:
    """Return "TNF-α" for "tumour necrosis factor alpha"."""
    *words, last = name.split()
    initials = "".join(word[0].upper() for word in words)
    return initials + (_GREEK.get(last) or (last if last.isdigit() else last[0].upper()))


def _distinct(grammar: Grammar, symbol: str, rng: Random, size: int) -> list[str]:
    """Return the different names in `2 * size` expansions: fewer than `size` where the rules give few."""
    drawn = (text_of(grammar.expand(symbol, rng)) for _ in range(2 * size))
    return list(dict.fromkeys(drawn))[:size]


def _compile(alternative: str) -> tuple[Piece | str, ...]:
    """Turn an alternative's text into pieces and symbols, in order."""
    items: list[Piece | str] = []
    position = 0
    for slot in _SLOT.finditer(alternative):
        if slot.start() > position:
            items.append((alternative[position : slot.start()], ""))
        symbol, words = slot.groups()
        items.append((words, symbol) if words else symbol)
        position = slot.end()
    if position < len(alternative):
        items.append((alternative[position:], ""))
    return tuple(items)
