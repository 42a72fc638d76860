package dev.zeusd.server.auth;

import java.util.List;
import java.util.Objects;

/**
 * Who may do what. Without any grant everybody may do everything that is enabled; with one,
 * everybody needs one, and they add up.
 *
 * @param grants in any order
 */
public record Policy(List<Grant> grants) {
  /** Without grants. */
  public static final Policy OPEN = new Policy(List.of());

  /** Takes a copy. */
  public Policy {
    grants = List.copyOf(grants);
  }

  /** {@return whether there are no grants, so that it need not be known who asks} */
  public boolean isOpen() {
    return grants.isEmpty();
  }

  /**
   * {@return what a caller may do}
   *
   * @param caller who asks
   * @param name of the caller, for people
   */
  public Rights of(Caller caller, String name) {
    Objects.requireNonNull(name);
    return isOpen()
        ? Rights.UNLIMITED
        : new Rights(name, false, grants.stream().filter(grant -> grant.isFor(caller)).toList());
  }
}
