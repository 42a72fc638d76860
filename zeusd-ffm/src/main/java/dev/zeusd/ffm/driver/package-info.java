/** What the bindings of all vendors' libraries have in common. */
package dev.zeusd.ffm.driver;
