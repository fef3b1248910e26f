import { AssignerProtocol } from 'kafkajs';

/** What a member of a group says when it joins. */
export interface Claim {
  readonly memberId: string;
  /** The partitions that it owned last. */
  readonly owned: readonly number[];
  /** The generation of the group in which it did. */
  readonly generation: number;
}

/**
 * Shares partitions among the members of a group: evenly, and so that each keeps what it has as far as that goes. What
 * stays where it is goes on without a pause.
 */
export function shareOut(claims: readonly Claim[], partitions: number): Map<string, number[]> {
  const members = [...claims].sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const owners = new Map<number, Claim>();
  for (const claim of members) {
    for (const partition of claim.owned) {
      const other = owners.get(partition);
      if (partition < partitions && (!other || other.generation < claim.generation)) owners.set(partition, claim);
    }
  }
  const shares = new Map(members.map(({ memberId }) => [memberId, [] as number[]]));
  const least = Math.floor(partitions / members.length);
  /** How many members may have one more than the others. */
  let larger = partitions % members.length;
  const free: number[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const share = shares.get(owners.get(partition)?.memberId ?? '');
    if (share && (share.length < least || (share.length === least && larger > 0))) {
      if (share.length === least) larger--;
      share.push(partition);
    } else free.push(partition);
  }
  for (const partition of free) {
    const smallest = [...shares.values()].reduce((a, b) => (b.length < a.length ? b : a));
    smallest.push(partition);
  }
  for (const share of shares.values()) share.sort((a, b) => a - b);
  return shares;
}

/** The name of this way of sharing: members of one group agree on it. It grows when what they say to each other changes. */
export const assignerName = 'infalign-sticky-1';

/** What a member says, as the group's coordinator carries it. */
export function encodeClaim(topic: string, { owned, generation }: Omit<Claim, 'memberId'>): Buffer {
  const userData = Buffer.from(JSON.stringify({ owned, generation }));
  return AssignerProtocol.MemberMetadata.encode({ version: 1, topics: [topic], userData });
}

/** What a member has said; nothing owned, if it cannot be understood. */
export function decodeClaim(memberId: string, metadata: Buffer): Claim {
  try {
    const { userData } = AssignerProtocol.MemberMetadata.decode(metadata)!;
    const { owned, generation } = JSON.parse(String(userData)) as Partial<Claim>;
    if (Array.isArray(owned) && typeof generation === 'number') return { memberId, owned, generation };
  } catch {
    // A stranger: it gets its share like everybody else.
  }
  return { memberId, owned: [], generation: -1 };
}

/** A member's share, as the group's coordinator carries it. */
export function encodeShare(topic: string, partitions: readonly number[]): Buffer {
  return AssignerProtocol.MemberAssignment.encode({
    version: 1,
    assignment: { [topic]: [...partitions] },
    userData: Buffer.alloc(0),
  });
}

/** The partitions in a member's share. */
export function decodeShare(topic: string, share: Buffer): number[] {
  return AssignerProtocol.MemberAssignment.decode(share)?.assignment[topic] ?? [];
}
