"""The LaTeX commands and characters that :mod:`sailtheory.report.mathml` knows."""

__all__ = [
    "ACCENTS",
    "ALPHABETS",
    "BARS",
    "CLOSING",
    "IDENTIFIERS",
    "LIMITS",
    "NAMES",
    "OPENING",
    "OPERATORS",
    "RELATIONS",
    "SPACES",
    "SUMS",
    "UPRIGHT",
]

IDENTIFIERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε",
    "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ",
    "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ",
    "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "ell": "ℓ", "infty": "∞",
    "emptyset": "∅",
}  # fmt: skip
RELATIONS = {
    "=": "=", "<": "<", ">": ">", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
    "neq": "≠", "preceq": "⪯", "succeq": "⪰", "prec": "≺", "succ": "≻", "in": "∈",
    "subset": "⊂", "subseteq": "⊆", "sim": "∼", "approx": "≈", "to": "→", "mapsto": "↦",
    "Rightarrow": "⇒", "implies": "⟹", "iff": "⟺", "forall": "∀",
}  # fmt: skip
SUMS = {"+": "+", "-": "−", "pm": "±"}
OPERATORS = {
    "nabla": "∇", "partial": "∂", "top": "⊤", "perp": "⊥", "cdot": "⋅", "times": "×",
    "cap": "∩", "cup": "∪", "dots": "…", "ldots": "…", "*": "∗", "/": "/", ",": ",", ";": ";",
    ":": ":", ".": ".", "!": "!", "circ": "∘",
}  # fmt: skip
OPENING = {"(": "(", "[": "[", "langle": "⟨", "{": "{"}
CLOSING = {")": ")", "]": "]", "rangle": "⟩", "}": "}"}
BARS = {"|": "|", "\\|": "‖"}
SPACES = {",": 0.17, ":": 0.22, ";": 0.28, " ": 0.25, "!": -0.17, "quad": 1.0, "qquad": 2.0}
NAMES = ("log", "exp", "tanh", "cosh", "min", "max", "sup", "inf", "arg", "tr", "det", "range")
LIMITS = {"sum": "∑", "prod": "∏", "sup": "sup", "inf": "inf", "max": "max", "min": "min"}
ACCENTS = {"bar": "¯", "hat": "^", "tilde": "~", "overline": "¯"}
_DOUBLE_STRUCK = {"E": "𝔼", "R": "ℝ", "N": "ℕ", "P": "ℙ", "Z": "ℤ"}
_SCRIPT = {"L": "ℒ", "C": "𝒞", "D": "𝒟", "H": "ℋ", "F": "ℱ", "N": "𝒩"}
ALPHABETS = {"mathbb": _DOUBLE_STRUCK, "mathcal": _SCRIPT}
UPRIGHT = ("mathrm", "operatorname", "text", "rm")
