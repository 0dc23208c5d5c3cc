/** Ways to bring documents in: buttons for files and folders, and the whole page as a place to drop them. */
import { html, signal, useEffect, useRef } from "../html.js";
import { filesOfDrop, filesOfInput } from "../text/dropped.js";
import { toast } from "../state/notices.js";
import { uploadFiles } from "../state/uploads.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";

const dragging = signal(false);

/** Buttons to choose files or a folder; `compact` shows one small button with a menu. */
export function AddDocuments({ compact = false }) {
  const files = useRef(null);
  const folder = useRef(null);
  const take = (event) => {
    begin(filesOfInput(event.target));
    event.target.value = "";
  };
  const inputs = html`
    <input ref=${files} type="file" multiple hidden aria-label="Files to add" data-upload="files" onChange=${take} />
    <input
      ref=${folder}
      type="file"
      webkitdirectory
      hidden
      aria-label="Folder to add"
      data-upload="folder"
      onChange=${take}
    />
  `;
  if (compact) {
    const items = [
      { label: "Add files", icon: "file-text", run: () => files.current.click() },
      { label: "Add a folder", icon: "folder", run: () => folder.current.click() },
    ];
    return html`${inputs}<${Menu} label="Add documents" icon="plus" items=${items} />`;
  }
  return html`
    ${inputs}
    <button type="button" class="button primary pointer-only" onClick=${() => folder.current.click()}>
      <${Icon} name="folder-open" />Choose a folder
    </button>
    <button type="button" class="button" onClick=${() => files.current.click()}>
      <${Icon} name="file-text" />Choose files
    </button>
  `;
}

/** Shown over the page while files are dragged over it; takes the drop. */
export function DropZone() {
  useEffect(() => listen(), []);
  return html`
    <div class="drop-zone" hidden=${!dragging.value}>
      <div class="drop-card">
        <${Icon} name="upload" size=${36} />
        <p>Drop files or folders to add them to your documents</p>
      </div>
    </div>
  `;
}

function begin(entries) {
  if (entries.length) uploadFiles(entries);
  else toast("There was nothing in it that can be added. Hidden files are left out.");
}

function listen() {
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    dragging.value = true;
  };
  const leave = (event) => {
    if (event.relatedTarget === null) dragging.value = false;
  };
  const drop = async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    dragging.value = false;
    begin(await filesOfDrop(event.dataTransfer));
  };
  const handlers = { dragenter: over, dragover: over, dragleave: leave, drop };
  for (const [name, handler] of Object.entries(handlers)) addEventListener(name, handler);
  return () => Object.entries(handlers).forEach(([name, handler]) => removeEventListener(name, handler));
}
