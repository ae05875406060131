/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.net.Proxy;
import java.util.Optional;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.ValidationContext;
import org.apache.nifi.components.ValidationResult;
import org.apache.nifi.context.PropertyContext;
import org.apache.nifi.proxy.ProxyConfiguration;
import org.apache.nifi.proxy.ProxyConfigurationService;

/** NiFi's Proxy Configuration Service, and its settings in the form that crosses to the native side. */
final class Proxies {

    static final PropertyDescriptor SERVICE = new PropertyDescriptor.Builder()
            .name("Proxy Configuration Service")
            .description(
                    "Service with the HTTP proxy, with or without a login, that all calls go through. Without it the"
                            + " environment variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY of NiFi's process count.")
            .identifiesControllerService(ProxyConfigurationService.class)
            .build();

    private Proxies() {}

    /** A kind of proxy that cannot be used. */
    static Optional<ValidationResult> validate(final ValidationContext context) {
        final Optional<ProxyConfiguration> configuration;
        try {
            configuration = configuration(context);
        } catch (final RuntimeException e) {
            // A service that is not enabled yet is NiFi's own validation's to report.
            return Optional.empty();
        }
        return configuration.flatMap(Proxies::problem).map(explanation -> new ValidationResult.Builder()
                .subject(SERVICE.getName())
                .valid(false)
                .explanation(explanation)
                .build());
    }

    /** Adds the proxy's address and login. */
    static Settings add(final PropertyContext context, final Settings settings) {
        configuration(context).ifPresent(proxy -> {
            if (proxy.getProxyType() == Proxy.Type.DIRECT) {
                settings.value("Proxy Type", "DIRECT");
                return;
            }
            settings.value("Proxy Type", "HTTP").value("Proxy Server Host", proxy.getProxyServerHost());
            if (proxy.getProxyServerPort() != null) {
                settings.value("Proxy Server Port", proxy.getProxyServerPort().toString());
            }
            if (proxy.hasCredential()) {
                settings.value("Proxy User Name", proxy.getProxyUserName())
                        .value("Proxy User Password", proxy.getProxyUserPassword());
            }
        });
        return settings;
    }

    private static Optional<String> problem(final ProxyConfiguration proxy) {
        if (proxy.getProxyType() == Proxy.Type.SOCKS) {
            return Optional.of("SOCKS proxies are not supported; set Proxy Type of the service to HTTP or DIRECT");
        }
        if (proxy.getProxyType() == Proxy.Type.HTTP
                && (proxy.getProxyServerHost() == null
                        || proxy.getProxyServerHost().isBlank())) {
            return Optional.of("the service names no Proxy Server Host");
        }
        return Optional.empty();
    }

    private static Optional<ProxyConfiguration> configuration(final PropertyContext context) {
        final var property = context.getProperty(SERVICE);
        if (!property.isSet()) {
            return Optional.empty();
        }
        final ProxyConfigurationService service = property.asControllerService(ProxyConfigurationService.class);
        return Optional.ofNullable(service).map(ProxyConfigurationService::getConfiguration);
    }
}
