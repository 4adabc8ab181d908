// Where oidc-provider keeps sessions, codes and the rest. Nothing expires by itself: a realm's clock may be set back.
export class Stored {
  constructor(store, model) {
    this.store = store;
    this.model = model;
  }

  async upsert(id, kept) { this.store.set(`${this.model}:${id}`, kept); }

  async find(id) { return this.store.get(`${this.model}:${id}`); }

  async findByUid(uid) {
    return [...this.store].find(([key, kept]) => key.startsWith(`${this.model}:`) && kept.uid === uid)?.[1];
  }

  async consume(id) { this.store.get(`${this.model}:${id}`).consumed = Math.floor(Date.now() / 1000); }

  async destroy(id) { this.store.delete(`${this.model}:${id}`); }

  async revokeByGrantId(grant) {
    for (const [key, kept] of this.store) if (kept.grantId === grant) this.store.delete(key);
  }
}
