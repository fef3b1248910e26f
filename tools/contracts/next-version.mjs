import { clone, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** The messages of this package get a field. */
const ownPackage = 'infalign.v1';

/** The field that every message of the next version has and no message of this one. */
const added = { name: 'added_by_the_next_version', number: 1000 };

/**
 * The next version of contracts: the same messages, each with one field more. It is another implementation of protobuf that
 * reads and writes them, which knows the messages from their descriptors.
 *
 * @param {Uint8Array} descriptors a FileDescriptorSet of this version
 */
export function nextVersion(descriptors) {
  const files = fromBinary(FileDescriptorSetSchema, descriptors);
  const next = clone(FileDescriptorSetSchema, files);
  for (const file of next.file.filter((each) => each.package === ownPackage)) {
    for (const message of file.messageType) {
      message.field.push({
        $typeName: 'google.protobuf.FieldDescriptorProto',
        ...added,
        jsonName: 'addedByTheNextVersion',
        label: FieldDescriptorProto_Label.OPTIONAL,
        type: FieldDescriptorProto_Type.STRING,
      });
    }
  }
  const registry = createFileRegistry(next);

  function describe(name) {
    const found = registry.getMessage(`${ownPackage}.${name}`);
    if (!found) throw new Error(`there is no message ${name}`);
    return found;
  }

  return {
    /** The names of all messages. */
    messages: [...registry]
      .filter(({ kind, file }) => kind === 'message' && file.proto.package === ownPackage)
      .map(({ name }) => name),

    /**
     * What the next version writes where this one writes those bytes: with the added field in every message there is.
     *
     * @param {string} name of the message
     * @param {Uint8Array} bytes
     */
    grown(name, bytes) {
      const message = fromBinary(describe(name), bytes);
      for (const { path, reflected } of messagesIn(describe(name), message)) {
        reflected.set(
          reflected.desc.fields.find(({ number }) => number === added.number),
          `of ${path}`,
        );
      }
      return toBinary(describe(name), message);
    },

    /**
     * What the next version reads in the added fields of a record; an empty text where a message has none.
     *
     * @param {string} name of the message
     * @param {Uint8Array} bytes
     * @returns {Record<string, string>} by the path of the message in the record
     */
    added(name, bytes) {
      const message = fromBinary(describe(name), bytes);
      return Object.fromEntries(
        messagesIn(describe(name), message).map(({ path, reflected }) => [
          path,
          reflected.get(reflected.desc.fields.find(({ number }) => number === added.number)),
        ]),
      );
    },
  };
}

/** A message and those that it consists of. */
function messagesIn(description, message, path = description.name) {
  const reflected = reflect(description, message);
  const inner = description.fields.flatMap((field) => {
    if (!reflected.isSet(field)) return [];
    const place = `${path}.${field.name}`;
    if (field.fieldKind === 'message') return messagesIn(field.message, reflected.get(field).message, place);
    if (field.fieldKind !== 'list' || field.listKind !== 'message') return [];
    return [...reflected.get(field)].flatMap((item, index) =>
      messagesIn(field.message, item.message, `${place}[${index}]`),
    );
  });
  return [{ path, reflected }, ...inner];
}
