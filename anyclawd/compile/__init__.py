"""From YAML text to a `Plan`: the only floor that knows PyYAML, jsonschema and networkx.

Text becomes a tree with positions (`tree`), the tree is read by the table of settings (`read`,
`settings`), sections and drop-ins become layers of units (`anyclaw`, `merge`), layers become
units (`build`), units a checked graph (`check`, `graph`), and the graph a plan (`compiler`).
Every stage reports what it finds (`diagnose`) and goes on, so that one run tells everything.
"""
