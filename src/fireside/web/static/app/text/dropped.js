/** Files out of a drop or a file field, folders opened, with the path each had. */

const LEFT_OUT = /(^|\/)(\.[^/]+|__MACOSX|node_modules|Thumbs\.db|desktop\.ini)(\/|$)/;

/** All files of a drop. Must be called while the drop event is handled: the browser forgets the items afterwards. */
export async function filesOfDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = entries.length
    ? (await Promise.all(entries.map((entry) => filesOfEntry(entry)))).flat()
    : [...transfer.files].map((file) => ({ file, path: file.name }));
  return wanted(found);
}

/** All files of an `<input type="file">`, which tells a folder's paths in webkitRelativePath. */
export function filesOfInput(input) {
  return wanted([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
}

const wanted = (found) => found.filter(({ path }) => !LEFT_OUT.test(path));

async function filesOfEntry(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path }];
  }
  const inside = await entriesOf(entry);
  return (await Promise.all(inside.map((child) => filesOfEntry(child)))).flat();
}

// readEntries gives at most 100 at a time, and none when it has given all
async function entriesOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}
