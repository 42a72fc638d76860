/** What GPUs behind the libraries of all vendors have in common. */
package dev.zeusd.core.driver;
