/** Elements, found and made. Whatever the data hold goes in as text. */

/** The element with this id; the document has every one that is asked for. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page lacks #${id}`);
  return element as T;
}

export interface Attributes {
  readonly class?: string;
  readonly [name: string]: string | undefined;
}

/** `<tag …attributes>children</tag>`; texts become text nodes. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A button that does something. */
export function button(attributes: Attributes, does: () => void, ...children: readonly (Node | string)[]) {
  const element = make("button", { type: "button", ...attributes }, ...children);
  element.addEventListener("click", does);
  return element;
}

export const pressed = (element: Element, is: boolean): void =>
  element.setAttribute("aria-pressed", String(is));

let hiding: ReturnType<typeof setTimeout> | undefined;

/** Says something for three seconds at the page's foot, to screen readers too. */
export function tell(text: string): void {
  const told = byId("told");
  told.textContent = text;
  told.classList.add("on");
  clearTimeout(hiding);
  hiding = setTimeout(() => told.classList.remove("on"), 3000);
}

/** How a number of any size is shown. */
export const number = (x: number): string => x.toLocaleString("en-US", { maximumSignificantDigits: 4 });
