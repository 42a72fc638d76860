/** What an embedder opens: a {@link dev.zeusd.core.Node}. */
package dev.zeusd.core;
