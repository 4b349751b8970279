"""From evidence to a verdict, and from a verdict to words that help.

    Evidence -> Observation -> rules -> weigh -> account -> say
    (facts)     (read once)    (find)   (decide) (this call) (a language)

`evidence` is what happened, already bounded and redacted of keys. `observation` reads it once: `author` says who wrote
the answer (`vendors` and `edges` are its tables), `envelope` what it says, `wording` how words are looked for, `waits`
how long it says to wait. One file in `rules` is one cause; `engine` weighs what they found. `account` adds the facts of
this very call (`numbers`, `past`), `say` fills in the words of `remedies` in a language. `recent` is the only thing
here that remembers, and it is told the time.
"""
