"""Formulas as vision models write them, in LaTeX, with the signs that stand on the page: other engines read α, not alpha."""

from __future__ import annotations

import re

REVISION = 1
"""Raised when the same formula gives other signs."""

SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ",
    "Omega": "Ω", "times": "×", "div": "÷", "pm": "±", "cdot": "·", "circ": "°", "degree": "°", "prime": "′",
    "infty": "∞", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "sim": "~",
    "equiv": "≡", "to": "→", "rightarrow": "→", "leftarrow": "←", "sum": "∑", "int": "∫", "prod": "∏", "partial": "∂",
    "nabla": "∇", "dots": "…", "ldots": "…", "cdots": "⋯", "dagger": "†", "ddagger": "‡", "S": "§", "P": "¶", "quad": " ",
    "qquad": " ", "left": "", "right": "", "displaystyle": "",
}  # fmt: skip

_DISPLAYED = re.compile(r"\\\[(.+?)\\\]|\$\$(.+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"\\\((.+?)\\\)", re.DOTALL)
_BETWEEN_DOLLARS = re.compile(r"(?<![\\$])\$(?=[^\s$])([^$\n]*?\\[A-Za-z][^$\n]*?)(?<=\S)\$(?!\d)")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\([A-Za-z]+)")


def plain_signs(markdown: str) -> str:
    r"""The markdown with each formula between dollars on one line, as `markdown_lines` takes it, and its commands as signs:
    \(\alpha\) is $α$. Sums of money are left alone."""
    text = _DISPLAYED.sub(lambda found: _formula(found[1] or found[2]), markdown)
    text = _INLINE.sub(lambda found: _formula(found[1]), text)
    return _BETWEEN_DOLLARS.sub(lambda found: _formula(found[1]), text)


def _formula(formula: str) -> str:
    formula = _FRACTION.sub(r"\1/\2", " ".join(formula.split()))
    return f"${_COMMAND.sub(lambda found: SIGNS.get(found[1], found[0]), formula).strip()}$"
