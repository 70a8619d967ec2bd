/** An option of a format, as the README, completion and error messages show it. */
export interface OptionDescription {
  readonly name: string;
  /** As it would be written; empty where nothing is set. */
  readonly default: string;
  readonly meaning: string;
}
