// @ts-check
/**
 * A terminal in which the same lines are drawn again and again. It uses the alternate screen, so that a resize leaves no
 * torn lines behind and the scroll-back stays as it was.
 */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const RESET = '\x1b[0m';

export class Screen {
  #stream;
  #open = false;
  #onExit = () => this.leave();

  /** @param {import('node:tty').WriteStream} stream */
  constructor(stream) {
    this.#stream = stream;
  }

  get columns() {
    return this.#stream.columns ?? 80;
  }

  /** Draws the lines over the ones before. @param {readonly string[]} lines */
  draw(lines) {
    if (!this.#open) {
      this.#open = true;
      this.#stream.write(ENTER);
      process.once('exit', this.#onExit);
    }
    const rows = (this.#stream.rows ?? 24) - 1;
    const shown = lines.slice(0, rows).map((line) => clip(line, this.columns) + CLEAR_LINE);
    this.#stream.write(HOME + shown.join('\r\n') + CLEAR_BELOW);
  }

  /** Gives the terminal back as it was: cursor and all. */
  leave() {
    if (!this.#open) return;
    this.#open = false;
    process.off('exit', this.#onExit);
    this.#stream.write(LEAVE);
  }
}

/**
 * The first `columns` characters of a line; escape sequences take no room.
 * @param {string} line
 * @param {number} columns
 */
export function clip(line, columns) {
  let width = 0;
  // Sequences start with ESC, which no other text here has.
  for (const { 0: part, index } of line.matchAll(/\u001b\[[0-9;]*m|[^]/gu)) {
    if (part.startsWith('\u001b')) continue;
    if (++width > columns) return line.slice(0, index) + RESET;
  }
  return line;
}
