/** How far a preparation is: one line on a terminal, elsewhere a line for every tenth. */
import { ProgressLine } from "../../src/cli/progress-line.js";
import { terminalOf } from "../../src/cli/shell.js";

export class Progress implements Disposable {
  private readonly terminal = terminalOf(process);
  private readonly line = new ProgressLine(this.terminal);
  private tenths = 0;

  constructor(private readonly what: string) {}

  show = (done: number, total: number): void => {
    if (this.terminal.interactive) {
      this.line.show({ what: this.what, done, total });
      return;
    }
    const tenths = Math.floor((10 * done) / total);
    if (tenths > this.tenths) this.line.say(`${this.what} ${done} of ${total}`);
    this.tenths = tenths;
  };

  clear(): void {
    this.line.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
