package dev.zeusd.server.http;

import dev.zeusd.core.settings.ClientProcess;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.core.settings.Leases;
import dev.zeusd.core.settings.SettingAccess;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.server.connection.Connection;
import io.helidon.http.BadRequestException;
import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Set;

/** By which right a request changes settings. */
public final class SettingRights {
  private static final HeaderName LEASE = HeaderNames.create("Zeusd-Lease");

  private final boolean restoresOnProcessExit;

  /**
   * The same for all requests.
   *
   * @param restoresOnProcessExit whether what a process sets without a lease is its own until it
   *     ends; on TCP nobody knows of which process it is, and it is everybody's
   */
  public SettingRights(boolean restoresOnProcessExit) {
    this.restoresOnProcessExit = restoresOnProcessExit;
  }

  /**
   * The right of the lease that a request's header names or, without one, that of its process or of
   * everybody.
   *
   * @throws BadRequestException for a header that makes no sense
   * @throws LeaseException if these settings may not be changed by it
   */
  SettingAccess of(
      ServerRequest request,
      Requester requester,
      Leases leases,
      Collection<Integer> ids,
      Set<SettingKey> keys) {
    if (request.headers().contains(LEASE)) {
      Lease lease = named(leases, request.headers().all(LEASE, List::of));
      lease.check(leases.settings(ids, keys));
      return lease;
    }
    if (restoresOnProcessExit && requester.connection().client().process().isPresent()) {
      return leases.ofProcess(process(requester.connection()), requester.name(), ids, keys);
    }
    if (leases.isInUse()) {
      leases.unleased().check(leases.knownSettings(ids, keys));
    }
    return leases.unleased();
  }

  private static Lease named(Leases leases, List<String> headers) {
    String[] parts = headers.getFirst().strip().split(":", -1);
    if (headers.size() > 1 || parts.length != 2 || !parts[1].matches("[0-9]{1,18}")) {
      throw new BadRequestException(
          "the header " + LEASE.defaultCase() + " must be there once, as <lease_id>:<epoch>");
    }
    return leases.find(parts[0], Long.parseLong(parts[1]));
  }

  private static ClientProcess process(Connection connection) {
    try {
      return ClientProcess.of(connection.client().channel(), connection.age());
    } catch (IOException e) {
      throw new HttpException(
          "settings are put back when the process that has set them ends, and this one cannot be"
              + " watched: "
              + e.getMessage()
              + "; POST /lease does not need that",
          Status.FORBIDDEN_403,
          true);
    }
  }
}
