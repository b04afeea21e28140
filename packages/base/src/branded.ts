declare const brand: unique symbol;

/** Gives equal representations different types, so that a term is never passed for an index. */
export type Branded<T, Name extends string> = T & { readonly [brand]: Name };
