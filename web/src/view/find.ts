/** find gives the element that a template promised; a page without it is a mistake of ours and should fail loudly. */
export function find<T extends Element = HTMLElement>(root: ParentNode, selector: string): T {
  const element = root.querySelector<T>(selector);
  if (!element) throw new Error(`this page has no ${selector}`);
  return element;
}

/** clone makes a new element from a template of the page: scripts never make markup of their own. */
export function clone(name: string): HTMLElement {
  const template = find<HTMLTemplateElement>(document, `template[data-template="${name}"]`);
  const first = template.content.firstElementChild?.cloneNode(true);
  if (!(first instanceof HTMLElement)) throw new Error(`the template ${name} is empty`);
  return first;
}

/** put writes words only where they changed, so that nothing is drawn or read out again for nothing. */
export function put(element: Element, words: string): void {
  if (element.textContent !== words) element.textContent = words;
}

/** set writes what styles go by, only where it changed. */
export function set(element: HTMLElement, name: string, value: string): void {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/** hide does so, or shows, only where that is a change. */
export function hide(element: HTMLElement, hidden: boolean): void {
  if (element.hidden !== hidden) element.hidden = hidden;
}
