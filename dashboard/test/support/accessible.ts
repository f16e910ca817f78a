// What a reader of a page needs whatever he sees or uses: names, captions, contrast. Judged on what is drawn.

import type { Page } from 'playwright-core';

// Controls without a name, tables without a caption, and a number of main headings that is not one.
export function unnamed(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const named = (element: Element) => {
      const labels = (element as HTMLInputElement).labels;
      return (element.textContent ?? '').trim() !== '' || (element.getAttribute('aria-label') ?? '') !== '' || (labels !== null && labels !== undefined && labels.length > 0);
    };
    const inside_picture = (element: Element) => element.closest('.u-wrap') !== null; // of a picture that has a name
    const controls = [...document.querySelectorAll('button, input, select, a[href], canvas, [role="img"]')];
    const tables = [...document.querySelectorAll('table:not(.u-legend)')];
    const wrong = [
      ...controls.filter((one) => !inside_picture(one) && !named(one)).map((one) => one.outerHTML.slice(0, 120)),
      ...tables.filter((one) => !one.querySelector('caption')?.textContent).map((one) => `no caption: ${one.outerHTML.slice(0, 120)}`),
    ];
    const headings = document.querySelectorAll('h1').length;
    return headings === 1 ? wrong : [...wrong, `${headings} main headings`];
  });
}

// Texts whose contrast with what lies behind them is below 4.5 to 1, or 3 to 1 where they are large (WCAG 2.1, 1.4.3).
export function weak_texts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    type Colour = { r: number; g: number; b: number; a: number };
    const parse = (text: string): Colour => {
      const numbers = (text.match(/[\d.]+(e-?\d+)?%?/g) ?? []).map((one) => (one.endsWith('%') ? Number(one.slice(0, -1)) / 100 : Number(one)));
      const whole = text.startsWith('color(') ? 1 : 255; // color(srgb 0.1 0.2 0.3 / 0.5), else rgb(1, 2, 3)
      const [r = 0, g = 0, b = 0, a = 1] = numbers;
      return { r: r / whole, g: g / whole, b: b / whole, a };
    };
    const over = (top: Colour, below: Colour): Colour => {
      const mix = (x: number, y: number) => x * top.a + y * (1 - top.a);
      return { r: mix(top.r, below.r), g: mix(top.g, below.g), b: mix(top.b, below.b), a: 1 };
    };
    const ground_of = (element: Element): Colour => {
      const layers: Colour[] = [];
      for (let at: Element | null = element; at !== null; at = at.parentElement) {
        const colour = parse(getComputedStyle(at).backgroundColor);
        if (colour.a > 0) layers.push(colour);
        if (colour.a === 1) break;
      }
      return layers.reverse().reduce((below, top) => over(top, below), { r: 1, g: 1, b: 1, a: 1 });
    };
    const light = (colour: Colour) => {
      const part = (value: number) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
      return 0.2126 * part(colour.r) + 0.7152 * part(colour.g) + 0.0722 * part(colour.b);
    };
    const weak = new Set<string>();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement;
      const text = (node.textContent ?? '').trim();
      if (element === null || text === '' || element.closest('.sr, .skip, script, style, option, [aria-hidden="true"], :disabled') !== null) continue;
      if (element.getClientRects().length === 0) continue;
      const style = getComputedStyle(element);
      const ground = ground_of(element);
      const [a, b] = [light(over(parse(style.color), ground)), light(ground)];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5)) weak.add(`${ratio.toFixed(2)} "${text.slice(0, 40)}" ${style.color} in ${element.tagName}.${element.className}`);
    }
    return [...weak];
  });
}
