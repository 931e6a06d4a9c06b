"""Answers to the exercises: right ones written differently, and plausible wrong ones with a part of the hint they get.

Key: notebook and exercise. `{}` in `form` stands for an answer; what follows a line break in an answer comes after it.
"""

from __future__ import annotations

from typing import NamedTuple


class Answers(NamedTuple):
    form: str
    right: list[str]
    wrong: dict[str, str]


PERP = "(abs((pred.conj() * target).imag) / abs(pred))"
SIGNED = "((pred.conj() * target).imag / abs(pred))"
PERP_LOG = "(perpendicular(pred, target) + (pred.abs().log() - target.abs().log())**2)"
MIXED = 'LOSSES["perp_l2"](reduction="none")(pred, target) + 0.2 * (pred - target).abs()'
PIXEL = "def {name}(pred, target):\n    return {{}}"

ANSWERS = {
    "00.1": Answers(
        "answer_1 = {}",
        ["4.75", "abs(1.5 * np.exp(2j * np.pi / 3) - 1) ** 2", "Fraction(19, 4)", "torch.tensor([0.25 + 4.5])"],
        {
            "0.25": "magnitude term alone",
            "4.5": "angle term alone",
            "0.25 + 1.5 * 1.5": "factor 2",
            "0.25 + 3 * 0.5": "cos 120° is negative",
            "0.25 + 3 * np.cos(np.radians(120))": "1 − cos",
            "0.5 + 4.5": "squared",
            "np.sqrt(4.75)": "its square",
            "0.25 + 3 * (1 - np.cos(120))": "radians",
            "-4.75": "sign",
            "4.8": "0.5 %",
            "1.0": "put |Ŷ| = 1.5",
        },
    ),
    "00.2": Answers(
        "answer_2 = {}",
        [
            'PerpLoss("l1", 2)(pred=pred, target=target).item()',
            'LOSSES["perp_l1"](weight=2.0)(pred, target)',
            'PerpLoss("l1", 2.0, reduction="none")(pred, target).mean().reshape(1)',
            "(1 + 2 * 1 + 2 * 1.5) / 2",
        ],
        {
            'PerpLoss("l1")(pred, target)': "weight=2.0",
            'PerpLoss("l1", weight=2.0)(target, pred)': "exchanged",
            "PerpLoss(weight=2.0)(pred, target)": "⊥+ℓ2",
            "PerpLoss()(pred, target)": "the default",
            'PerpLoss("l1", 2.0, reduction="sum")(pred, target)': "sum",
            "PerpLoss(None)(pred, target)": "L⊥ alone",
            '2 * PerpLoss(None)(pred, target) + PerpLoss("l1")(pred, target) - PerpLoss(None)(pred, target)': "not to L⊥",
            'PerpLoss("l1", 2.0, reduction="none")(pred, target)': "mean",
            'PerpLoss("l1", 2.0)': "then loss(prediction, target)",
            "LOSSES['l1']()(pred, target)": "PerpLoss(magnitude, weight)",
        },
    ),
    "00.3": Answers(
        "answer_3 = {}",
        ["[10, 100]", "(1e1, 1e2)", "torch.tensor([10, 10**2])", "np.array([10.0, 100.0])"],
        {
            "[100, 10]": "squares the difference",
            "[10, 10]": "squares the difference",
            "[100, 100]": "not squares",
            "[1, 100]": "although the angles stay",
            "[10, 20]": "square of 10",
            "[10, 1]": "not divided",
            "[10, 1000]": "how do a length",
            "10": "expected [a number, a number], got a number",
        },
    ),
    "01.1": Answers(
        PIXEL.format(name="rejection"),
        [
            "np.abs((np.conj(pred) * target).imag) / np.abs(pred)",
            "np.abs(target) * np.abs(np.sin(np.angle(target) - np.angle(pred)))",
            "abs(target - (target * pred.conj()).real * pred / abs(pred) ** 2)",
            "[abs(p.real * t.imag - p.imag * t.real) / abs(p) for p, t in zip(pred, target)]",
        ],
        {
            "(pred.real * target.imag - pred.imag * target.real) / abs(pred)": "absolute value",
            "abs(pred.real * target.imag) / abs(pred)": "|Re Ŷ Im Y − Im Ŷ Re Y|",
            "abs(pred.real * target.imag + pred.imag * target.real) / abs(pred)": "minus between",
            f"np.mean({PERP})": "mean of the map",
            f"{PERP} * abs(pred) / abs(target)": "|Y|: that is",
            f"{PERP} * abs(pred)": "area",
            f"{PERP} / abs(pred)": "square",
            f"-{PERP}": "sign",
            "abs((pred.conj() * target).real) / abs(pred)": "exchange sine and cosine",
            "abs(np.sin(np.angle(target / pred)))": "multiply it by |Y|",
            f"np.where((pred * target.conj()).real < 0, 2 * abs(target) - {PERP}, {PERP})": "exercise 2",
            "abs(np.cross(pred, target)) / abs(pred)": "got ValueError",
        },
    ),
    "01.2": Answers(
        PIXEL.format(name="perp"),
        [
            f"np.where((pred.conj() * target).real > 0, {PERP}, 2 * abs(target) - {PERP})",
            "abs(target) * (1 - np.sign(np.cos(np.angle(pred / target))) * (1 - abs(np.sin(np.angle(pred / target)))))",
            "perpendicular(torch.from_numpy(pred), torch.from_numpy(target))",
            f"abs(target) - np.sign((pred * target.conj()).real) * (abs(target) - {PERP})",
        ],
        {
            PERP: "branch past 90° is missing",
            f"np.where((pred * target.conj()).real < 0, 2 * abs(target) - {SIGNED}, {SIGNED})": "absolute value",
            f"np.where((pred * target.conj()).real > 0, 2 * abs(target) - {PERP}, {PERP})": "exchanged",
            f"np.where((pred * target.conj()).real < 0, 2 - {PERP}, {PERP})": "here |Y| is not 1",
            f"np.where((pred * target.conj()).real < 0, 2 * abs(pred) - {PERP}, {PERP})": "length of the target",
            f"np.where((pred * target.conj()).real < 0, abs(target) - {PERP}, {PERP})": "factor 2",
            f"np.where((pred * target.conj()).real < 0, 2 * abs(target) + {PERP}, {PERP})": "with a minus",
            f"np.where((pred * target.conj()).real < 0, 2 * abs(target) - {PERP} * abs(pred / target), "
            f"{PERP} * abs(pred / target))": "not by |Y|",
            f"np.where((pred * target).real < 0, 2 * abs(target) - {PERP}, {PERP})": "conj Y",
            f"np.where((pred * target.conj()).real < 0, 2 * abs(target) - {PERP}, {PERP}).mean()": "mean of the map",
            f"2 * abs(target) - {PERP} if (pred * target.conj()).real < 0 else {PERP}": "got ValueError",
        },
    ),
    "01.3": Answers(
        "answer_3 = {}",
        [
            "2.5",
            "2 * np.cos(np.radians(60)) / 0.4",
            "Fraction(5, 2)",
            "(np.sin(np.pi / 3 + 1e-6) - np.sin(np.pi / 3)) / 1e-6 * 2 / 0.4",
        ],
        {
            "2 * np.cos(np.pi / 3)": "per radian",
            "2 * np.sin(np.pi / 3) / 0.4": "differentiate the sine",
            "2 * np.sin(np.pi / 3)": "loss itself",
            "np.cos(np.pi / 3) / 0.4": "|Y| is missing",
            "2 * np.cos(np.pi / 3) * 0.4": "not multiplied",
            "2 / 0.4": "cosine is missing",
            "2 * np.cos(60) / 0.4": "radians",
            "-2.5": "sign",
            '"2.5"': "expected a number, got a word",
        },
    ),
    "01.4": Answers(
        "answer_4 = {}",
        ['"shorter"', '" Shorter"', '"SHORTER"'],
        {
            '"longer"': "raises it",
            '"neither"': "loss of the article",
            '"short"': 'write "shorter"',
            "-0.71": "expected a word, got a number",
            "True": "expected a word, got a truth value",
        },
    ),
    "02.1": Answers(
        "answer_1 = {}",
        ["0.259", "np.sin(np.radians(15))", "(np.sqrt(6) - np.sqrt(2)) / 4", "torch.deg2rad(torch.tensor(75.0)).cos()"],
        {
            "1.0": "true magnitude",
            "np.cos(75)": "radians",
            "1 - np.cos(np.radians(75))": "what is lost",
            "np.sin(np.radians(75))": "sine",
            "np.sin(np.radians(75)) ** 2": "loss at the minimum",
            "2 * np.cos(np.radians(75)) - 1": "factor 2",
            "0": "costs 1",
            "-np.cos(np.radians(75))": "sign",
            "0.3": "solve",
            "0.262": "0.5 %",
        },
    ),
    "02.2": Answers(
        'answer_2 = "no"\n' + PIXEL.format(name="perp_log"),
        [
            f"{PERP_LOG}.mean()\nanswer_2 = 'No '",
            "perpendicular(pred, target).mean() + torch.log(target.abs() / pred.abs()).pow(2).mean()",
            "torch.mean(perpendicular(pred, target) + (pred / target).log().real ** 2)",
            "PerpLoss(lambda a, b: (a.log() - b.log()) ** 2)(pred, target)",
        ],
        {
            f"{PERP_LOG}.mean()\nanswer_2 = 'yes'": "ρ = 1 − d",
            f"{PERP_LOG}.mean()\nanswer_2 = 0.46": "expected a word, got a number",
            "(pred.abs().log() - target.abs().log()).square().mean()": "L⊥ is missing",
            "perpendicular(pred, target).mean()": "f is missing",
            "(perpendicular(pred, target) + pred.abs().log() - target.abs().log()).mean()": "must be squared",
            "(perpendicular(pred, target) + (pred.abs().log() - target.abs().log()).abs()).mean()": "not the absolute value",
            "(perpendicular(pred, target) - (pred.abs().log() - target.abs().log()) ** 2).mean()": "not subtracted",
            "(perpendicular(pred, target) + (pred.abs() - target.abs()) ** 2).mean()": "compares logarithms",
            "(perpendicular(pred, target) + (pred.abs().log10() - target.abs().log10()) ** 2).mean()": "natural",
            "(perpendicular(pred, target) + (pred.log() - target.log()).abs() ** 2).mean()": "phase",
            f"{PERP_LOG}.sum()": "sum",
            PERP_LOG: "its mean",
            "np.log(-1.0)": "division by 0",
        },
    ),
    "02.3": Answers(
        'answer_3 = "yes"\n' + PIXEL.format(name="mixed"),
        [
            MIXED,
            f"{MIXED}\nanswer_3 = 'Yes'",
            "perpendicular(pred, target) + (pred.abs() - target.abs()) ** 2 + 0.2 * abs(target - pred)",
            'LOSSES["perp_l2"](reduction="none")(pred, target) + LOSSES["l1"](reduction="none")(pred, target) / 5',
        ],
        {
            f"{MIXED}\nanswer_3 = 'no'": "slope of |Ŷ − Y|",
            f"{MIXED}\nanswer_3 = 1": "expected a word, got a number",
            "perpendicular(pred, target) + 0.2 * abs(pred - target)": "ℓ2 is missing",
            "(pred.abs() - target.abs()) ** 2 + 0.2 * abs(pred - target)": "L⊥ is missing",
            'LOSSES["perp_l2"](reduction="none")(pred, target)': "is missing",
            'LOSSES["perp_l2"](reduction="none")(pred, target) + abs(pred - target)': "factor 0.2",
            'LOSSES["perp_l2"](reduction="none")(pred, target) - 0.2 * abs(pred - target)': "not subtracted",
            'LOSSES["perp_l2"](reduction="none")(pred, target) + 0.2 * abs(pred - target) ** 2': "not squared",
            'LOSSES["perp_l2"](reduction="none")(pred, target) + 0.2 * abs(abs(pred) - abs(target))': "complex difference",
            "perpendicular(pred, target) + abs(pred - target) ** 2 + 0.2 * abs(pred - target)": "compares magnitudes",
            f"({MIXED}).mean()": "mean of the map; the map is asked",
            'LOSSES["perp_l2"]()(pred, target) + 0.2 * (pred - target).abs().mean()': "mean of the map; the map is asked",
        },
    ),
    "02.4": Answers(
        "answer_4 = {}",
        ['[1, "no"]', '(1.0, "No")', '[torch.tensor(1), " NO "]', '[np.log10(10), "no"]'],
        {
            '[2, "no"]': "take the root",
            '[1, "yes"]': "balance",
            '[2, "yes"]': "balance",
            '[0, "no"]': "no ratio",
            '[0.5, "no"]': "root is of the square",
            '["no", 1]': "expected [a number, a word], got [a word, a number]",
            "[1]": "expected [a number, a word], got [a number]",
            "1": "expected [a number, a word], got a number",
            "[1, False]": "got [a number, a truth value]",
        },
    ),
    "03.1": Answers(
        "answer_1 = {}",
        ["0.637", "2 / np.pi", "np.cos(np.linspace(-np.pi / 2, np.pi / 2, 9999)).mean()", "np.sinc(0.5)"],
        {
            "0": "not the mean cosine",
            "2": "divide it",
            "4 / np.pi": "not π/2",
            "1 / np.pi": "factor 2",
            "np.exp(-np.pi**2 / 24)": "Gaussian",
            "np.pi / 2": "turn the fraction",
            "1": "less than the whole",
            "1 - 2 / np.pi": "what is lost",
            "-2 / np.pi": "sign",
            "0.64": "close, but not within 0.5 %",
            "0.7071": "integrate",
        },
    ),
    "03.2": Answers(
        "answer_2 = {}",
        ["1.18", "np.sqrt(np.log(4))", "(-2 * np.log(0.5)) ** 0.5", "torch.tensor(4.0).log().sqrt()"],
        {
            "np.sqrt(np.log(2))": "½ in the exponent",
            "2 * np.log(2)": "take the root",
            "np.log(2)": "and the root",
            "np.sqrt(2 * np.log10(2))": "natural",
            "67.5": "degrees",
            "np.arccos(0.5)": "one angle",
            "2 * np.log(0.5)": "−log 2",
            "np.sqrt(2 * np.log(0.5))": "root of a negative number",
            "-1.18": "sign",
            "1.2": "close, but not within 0.5 %",
            "0.5": "solve",
        },
    ),
    "03.3": Answers(
        "answer_3 = {}",
        ['"smaller"', '"Smaller "', '"SMALLER"'],
        {
            '"equal"': "article's form",
            '"larger"': "costs more",
            '"small"': 'write "smaller"',
            "0.69": "expected a word, got a number",
            "[]": "expected a word, got []",
        },
    ),
    "03.4": Answers(
        "answer_4 = {}",
        ["0.316", "np.sqrt(0.1)", "optimize.brentq(lambda s: theory.rician('mean', 1, s) - 1.05, 0.1, 1)", "0.31"],
        {
            "0.1": "take the root",
            "np.sqrt(0.05)": "not s²",
            "0.05": "that is the bias",
            "np.sqrt(0.05 / 2)": "not 2s²",
            "np.sqrt(2 * 5)": "5 % is 0.05",
            "np.sqrt(2 * 1.05)": "exceeds 1",
            "np.sqrt(2 * 0.5)": "not 0.5",
            "-0.316": "sign",
            "0.33": "close, but not within 3 %",
            "0.2": "solve",
        },
    ),
    "06.1": Answers(
        "{}",
        [
            "u = torch.zeros(1, 2, 32, 32)\nu[0, 1] -= 4",
            "u = torch.tensor([0.0, -4.0]).reshape(1, 2, 1, 1).expand(1, 2, 32, 32)",
            "u = np.stack([np.zeros((32, 32)), np.full((32, 32), -4)])[None]",
            "u = torch.stack([0 * moving, moving - moving - 4], dim=1)",
        ],
        {
            "u = torch.zeros(1, 2, 32, 32)\nu[:, 1] = 4": "*from*",
            "u = torch.zeros(1, 2, 32, 32)\nu[:, 0] = -4": "right: component 0 is x",
            "u = torch.zeros(1, 2, 32, 32)\nu[:, 0] = 4": "left: component 0 is x",
            "u = torch.full((1, 2, 32, 32), -4.0)": "component 0 should be 0",
            "u = torch.zeros(1, 2, 32, 32)": "did not move",
            "u = torch.zeros(1, 2, 32, 32)\nu[:, 1] = -4 / 32": "in pixels",
            "u = torch.zeros(2, 32, 32)\nu[1] = -4": "expected an array of shape (1, 2, 32, 32), got an array of shape (2,",
            "u = torch.zeros(1, 32, 32, 2)\nu[..., 1] = -4": "got an array of shape (1, 32, 32, 2)",
            "u = [0, -4]": "got [a number, a number]",
        },
    ),
    "06.2": Answers(
        "answer_2 = {}",
        ["5.09", "32 / (2 * np.pi)", "1 / (2 * np.pi / 32)", "torch.tensor(16 / torch.pi)", "5.13"],
        {
            "16": "half a wave",
            "32": "brings 2π/L",
            "2 * np.pi / 32": "turn the fraction",
            "32 / np.pi": "1 + du/dx is 0",
            "8": "quarter",
            "1 / (2 * np.pi)": "L is missing",
            "-5.09": "sign",
            "5.3": "close, but not within 2 %",
            "1": "smallest",
        },
    ),
    "06.3": Answers(
        "answer_3 = {}",
        ["[2, 0]", "(2.0, 0.0)", "torch.tensor([2, 0])", "0.2 * np.array([0.1, 0]) / 0.1**2"],
        {
            "[2, 1]": "true motion",
            "[0, 1]": "along the edge",
            "[0, 2]": "component 0 is x",
            "[0.2, 0]": "divide it by the slope",
            "[0.02, 0]": "square of the slope",
            "[-2, 0]": "not the other way round",
            "2": "expected [a number, a number], got a number",
            "np.zeros((2, 16, 16))": "got an array of shape (2, 16, 16)",
            "[1, 0]": "moves along y",
        },
    ),
    "06.4": Answers(
        "answer_4 = {}",
        ["[1, 0.5]", "(1.0, Fraction(1, 2))", "torch.tensor([1, 0.5])", "np.array([2, 1]) / 2"],
        {
            "[2 / np.pi, 0.5]": "without the continuation",
            "[2, 0.5]": "largest",
            "[0, 0.5]": "never negative",
            "[1, 0.25]": "both sides",
            "[1, 50]": "between 0 and 1",
            "[2 / np.pi, 0.25]": "both sides",
            "[0.5, 1]": "L⊥(π − Δφ)",
            "1": "expected [a number, a number], got a number",
        },
    ),
}

TYPES = [
    "None", '"word"', '"1"', "b'1'", "[]", "[7, 7, 7, 7, 7]", "[[1, 2], [3]]", "[..., 'x']", "{'a': 1}", "{1}", "True", "object()",
    "lambda x: x", "torch.zeros(2, 3)", "torch.ones(0)", "np.array(['a', None])", "float('nan')", "range(9)", "10**400",
]  # fmt: skip
"""Answers of a wrong type."""
