// What the filter decides, without a call to the host: `npm test` runs it in Node.js.

/** The filter's configuration: `key=open-sesame tag=blue`. */
export class Rules {
  key: string = "";
  tag: string = "";
  /** What is wrong with it, if anything. */
  mistake: string = "";

  constructor(text: string) {
    const words = text.split(" ");
    for (let i = 0; i < words.length; i++) {
      if (words[i].startsWith("key=")) this.key = words[i].slice(4);
      else if (words[i].startsWith("tag=")) this.tag = words[i].slice(4);
      else if (words[i] != "") this.mistake = 'unknown word "' + words[i] + '"';
    }
    const isWhole = this.key != "" && this.tag != "";
    if (!isWhole && this.mistake == "") this.mistake = "it must have key=KEY and tag=TAG";
  }

  allow(key: string): bool {
    return this.key != "" && key == this.key;
  }
}
