/** Orders for the demonstration: always the same for the same numbers, about 155 bytes of JSON each. */
const CUSTOMERS = ['amelie', 'bruno', 'chloe', 'david', 'elena', 'farid', 'greta', 'hugo'];
const CITIES = ['Amsterdam', 'Berlin', 'Kraków', 'Lyon', 'Málaga', 'Porto', 'Torino', 'Zürich'];
const STATUSES = ['paid', 'paid', 'paid', 'shipped', 'shipped', 'returned'];
const FIRST_ORDER_MS = Date.UTC(2026, 0, 1);

/** @returns Messages of orders [from, to) of one partition, as `{ key, value }`. */
export function makeOrders(partition, from, to) {
  const messages = [];
  for (let index = from; index < to; index++) {
    const noise = mix(partition * 1_000_003 + index);
    const order = {
      order: `${partition}-${index}`,
      customer: `${pick(CUSTOMERS, noise)}${noise % 977}`,
      city: pick(CITIES, noise >>> 3),
      amount: ((noise >>> 7) % 50_000) / 100,
      currency: 'EUR',
      items: 1 + ((noise >>> 11) % 5),
      status: pick(STATUSES, noise >>> 13),
      createdAt: new Date(FIRST_ORDER_MS + index * 750 + (noise % 700)).toISOString(),
    };
    messages.push({ key: order.order, value: Buffer.from(JSON.stringify(order)) });
  }
  return messages;
}

function pick(list, number) {
  return list[number % list.length];
}

/** An integer hash (the finalizer of MurmurHash3), so that neighbours differ without a state to carry along. */
function mix(number) {
  let hash = number | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
