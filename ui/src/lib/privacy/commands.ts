/** A way to see from outside what the program does. */
export interface Proof {
  /** Message keys are `privacy.verify.<id>` and `privacy.verify.<id>.expect`. */
  id: 'live' | 'unshare' | 'strace' | 'tree';
  command: string;
}

/** Proofs that need nothing of ours: tools of the system, and the list of what it is built from. */
export function proofs(live: string | null): Proof[] {
  const proofs: Proof[] = [
    { id: 'unshare', command: 'unshare --map-root-user --net quartet-desktop' },
    {
      id: 'strace',
      command: 'strace -f -e trace=socket,connect,bind,listen -o trace.txt quartet-desktop; grep AF_INET trace.txt',
    },
    { id: 'tree', command: "cargo tree -p quartet-desktop -e normal | grep -E 'hyper|reqwest|rustls|openssl'" },
  ];
  return live === null ? proofs : [{ id: 'live', command: live }, ...proofs];
}
