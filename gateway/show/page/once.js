// Answers that stay as they are: each is asked for once, however often it is wanted meanwhile, and the last are kept.

const KEPT = 100;

export class Once {
  constructor(ask) {
    this.ask = ask;
    this.told = new Map();
    this.asking = new Map();
  }

  // What is known by now, undefined before.
  get(name) { return this.told.get(name); }

  // A promise of the answer. It is asked for after what else is asked in this turn; one that failed is asked for again.
  load(name) {
    if (this.told.has(name)) return Promise.resolve(this.told.get(name));
    if (!this.asking.has(name)) {
      const answer = Promise.resolve().then(() => this.ask(name)).then((found) => this.keep(name, found));
      this.asking.set(name, answer.finally(() => this.asking.delete(name)));
    }
    return this.asking.get(name);
  }

  keep(name, found) {
    this.told.set(name, found);
    if (this.told.size > KEPT) this.told.delete(this.told.keys().next().value);
    return found;
  }
}
