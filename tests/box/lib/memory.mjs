// memory.mjs - what a process holds in memory and what a core dump of it would hold: searched
// for marks, through /proc/PID/mem. Needs to be allowed to trace it (root, or its owner where it
// is dumpable).
// Rule: all of its own that is readable is read, stacks and free heap included, and how much that
// was is told. Files that it has mapped are left to who looks at files.
import fs from 'node:fs';

const STEP = 4 << 20;

// The mappings: {start, end, perms, name, flags (VmFlags), rss (KiB)}.
export function mappings(pid) {
  const found = [];
  for (const line of fs.readFileSync(`/proc/${pid}/smaps`, 'latin1').split('\n')) {
    const m = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+\s*(.*)$/.exec(line);
    if (m) {
      found.push({ start: parseInt(m[1], 16), end: parseInt(m[2], 16), perms: m[3],
                   name: m[4], flags: [], rss: 0 });
      continue;
    }
    const last = found.at(-1);
    if (line.startsWith('Rss:')) last.rss = parseInt(line.slice(4), 10);
    if (line.startsWith('VmFlags:')) last.flags = line.slice(8).trim().split(/\s+/);
  }
  return found;
}

// A core dump leaves out what is marked so (dd), what is not backed by memory of the process's
// own (pf, io), and by default what is shared with a file (core(5), coredump_filter 0x33).
export const isDumped = (map) => !map.flags.includes('dd') && !map.flags.includes('io') &&
                                 !map.flags.includes('pf') &&
                                 !(map.flags.includes('sh') && map.name.startsWith('/'));

const isOwn = (map) => map.rss > 0 && map.perms[0] === 'r' &&
                      !(map.flags.includes('sh') && map.name.startsWith('/'));

// Look for marks (Buffers) in the mappings that choose() takes. Gives {bytes, hits}; a hit is
// {mark, at, map, text} with what stands around it.
export function search(pid, marks, choose = () => true) {
  const keep = Math.max(...marks.map((mark) => mark.length)) - 1;
  const file = fs.openSync(`/proc/${pid}/mem`, 'r');
  const room = Buffer.alloc(STEP + keep);
  const hits = [];
  let bytes = 0;
  try {
    for (const map of mappings(pid).filter((m) => isOwn(m) && choose(m))) {
      for (let at = map.start, held = 0; at < map.end;) {
        const got = read(file, room.subarray(held, held + Math.min(STEP, map.end - at)), at);
        if (got === 0) break;
        const seen = room.subarray(0, held + got);
        for (const mark of marks) {
          for (let i = seen.indexOf(mark); i >= 0; i = seen.indexOf(mark, i + 1)) {
            const text = seen.subarray(Math.max(0, i - 80), i + 120).toString('latin1');
            hits.push({ mark, at: at - held + i, map, text });
          }
        }
        at += got;
        bytes += got;
        held = Math.min(keep, seen.length);
        seen.copyWithin(0, seen.length - held);
      }
    }
  } finally {
    fs.closeSync(file);
  }
  return { bytes, hits };
}

function read(file, into, at) {
  try {
    return fs.readSync(file, into, 0, into.length, at);
  } catch (error) {
    if (error.code === 'EIO' || error.code === 'EFAULT') return 0;
    throw error;
  }
}

// Hits in words, for a failed assertion.
export function told(hits) {
  return hits.slice(0, 12).map(({ mark, at, map, text }) =>
    `${mark} at ${at.toString(16)} (${map.name || 'anonymous'} ${map.start.toString(16)}-` +
    `${map.end.toString(16)} ${map.flags.join(' ')}): ${JSON.stringify(text)}`).join('\n');
}
