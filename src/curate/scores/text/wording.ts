/** Captions that are no sentences about a picture: names of files, addresses. */

import type { CaptionFamily } from "../score.js";

const PICTURE_ENDING = /\.(?:jpe?g|png|gif|webp|bmp|tiff?|heic|heif|avif|svg|jfif|raw|cr2|nef|psd)$/iu;
/** What people and programs call a picture that has no name, with or without a number. */
const NAMELESS =
  /^(?:im(?:g|age?)|pic(?:ture)?|photo|foto|bild|scan|screen ?shot|untitled|unnamed|download|fullsizerender)[\s_-]*[\d\s_:.-]*(?:\(\d+\))?$/iu;
/** What cameras and phones call theirs: letters and at least three digits. */
const CAMERA =
  /^(?:dsc[nf]?|dscn|p|pxl|mvimg|vid|gopr|dji|wp|cimg|sam|sdc)[\s_-]*\d{3}[\d\s_:.-]*(?:\(\d+\))?$/iu;
/** Letters and digits mixed as only programs do: `a3f09bc17d22`, with or without dashes. */
const MACHINE = /^(?=[^\d]*\d)(?=[\da-f-]*[a-f])[\da-f-]{12,}$|^[\d_\s-]+$/iu;

/** Whether all of a text is the name of a file. */
export function isFileName(text: string): boolean {
  const stem = text.replace(PICTURE_ENDING, "");
  if (stem !== text && !/\s\S*\s/u.test(stem)) return true;
  return NAMELESS.test(stem) || CAMERA.test(stem) || MACHINE.test(stem);
}

const URL =
  /\b(?:https?:\/\/|www\.)\S+|\b[a-z\d-]+(?:\.[a-z\d-]+)*\.(?:com|net|org|info|shop|de|co\.uk)\b(?:\/\S*)?/giu;

/** Share of a text's characters that belong to web addresses. */
function urlShare(text: string): number {
  let length = 0;
  for (const [match] of text.matchAll(URL)) length += match.length;
  return length / text.length;
}

export const wordingFamily: CaptionFamily = {
  name: "wording",
  about: "Captions that say nothing of the picture: names of files, web addresses.",
  how: "By patterns, over the whole caption for names of files (IMG_1234.jpg, DSC 0042, 5f3a…), anywhere in it for addresses.",
  source:
    "What reviewers of web-crawled pairs drop by hand (LAION, DataComp); the patterns are Clipwright's own",
  over: "caption",
  byDefault: true,
  columns: [
    {
      name: "is_file_name",
      kind: "flag",
      better: "lower",
      about: "The caption is the name of a file, or the number or code that a program gave it.",
    },
    {
      name: "url_share",
      kind: "number",
      unit: "share",
      better: "lower",
      about: "Characters that belong to web addresses, of all.",
    },
  ],
  async open() {
    return (caption) => ({ is_file_name: isFileName(caption), url_share: urlShare(caption) });
  },
};
