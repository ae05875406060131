/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.expression.ExpressionLanguageScope;

/** Certificates that both processors trust beside the usual ones. */
final class Certificates {

    static final PropertyDescriptor FILE = new PropertyDescriptor.Builder()
            .name("CA Certificates File")
            .description(
                    "PEM file with certificates of further authorities to trust, for networks that inspect TLS and tests.")
            .expressionLanguageSupported(ExpressionLanguageScope.ENVIRONMENT)
            .addValidator(Validators.OPTIONAL_FILE)
            .build();

    private Certificates() {}
}
