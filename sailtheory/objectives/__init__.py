"""SAIL(p) - gamma * KLRefPolicy(p) and its kin: value, gradient, Hessian, terms."""
