/** The few things that are done to the document. Text of others goes into `textContent` alone. */

export const at = (id) => document.getElementById(id);

export function make(name, content, className) {
  const made = document.createElement(name);
  if (content !== undefined) made.textContent = content;
  if (className !== undefined) made.className = className;
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
