"""Choose a network: sweeps over arguments, budgets, conditions on figures."""
