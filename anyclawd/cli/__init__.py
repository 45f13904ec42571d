"""`anyclawctl`: one module a verb, imported only when the verb is used."""
